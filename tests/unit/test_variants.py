"""Values in files: lines, JSON, and patches, each of which becomes a command that a shell carries out."""

import subprocess
from pathlib import Path

import pytest

from core.errors import UsageError
from core.naming import children_commands
from vertui.variants import MOST_PATCH_BYTES, lines_of, values_of

PATCH = "--- a/app.py\n+++ b/app.py\n@@ -1 +1 @@\n-tries = {{i}}\n+tries = '{0}'  # {{name}} $HOME \\\n"


def test_patches_of_a_directory_are_applied_as_they_are(tmp_path: Path) -> None:
    patches, project = tmp_path / "patches", tmp_path / "pro ject"
    patches.mkdir()
    project.mkdir()
    for name in ("b.diff", "a.patch", "notes.txt"):
        (patches / name).write_text(PATCH.format(name))
    commands = lines_of(Path(f"{patches}:{project}"))
    assert values_of([f"@{patches}"]) == lines_of(patches) and len(commands) == 2
    children = children_commands(["x", "y"], None, commands)
    for command, name in zip(children.values(), ("a.patch", "b.diff"), strict=True):
        (project / "app.py").write_text("tries = {i}\n")
        subprocess.run(["sh", "-c", command], check=True, cwd="/")
        assert (project / "app.py").read_text() == f"tries = '{name}'  # {{name}} $HOME \\\n"


def test_what_is_no_patch_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no patches"):
        lines_of(tmp_path)
    (tmp_path / "large.diff").write_bytes(bytes(MOST_PATCH_BYTES + 1))
    with pytest.raises(UsageError, match=r"large\.diff is larger"):
        lines_of(tmp_path)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        lines_of(Path(f"{tmp_path}/nowhere:/srv"))
