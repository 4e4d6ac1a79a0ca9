"""What is derived from the verbs and lies in the repository is current, and the man page is one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.verbs import names
from vertui.commands.group import ORDER

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "assets" / "man" / "vertui.1"


def check(root: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(root / "scripts" / "documents.py"), "--check"]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_they_are_current() -> None:
    done = check(ROOT)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_not_current_is_named(tmp_path: Path) -> None:
    for name in ("core", "vertui", "assets"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=lambda directory, names: ["__pycache__"])
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "documents.py", tmp_path / "scripts")
    stale = (ROOT / "README.md").read_text().replace("| `undo` |", "| `unmake` |")
    (tmp_path / "README.md").write_text(stale)
    done = check(tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("README.md is not what the verbs say")


def test_every_verb_is_in_both() -> None:
    page, readme = PAGE.read_text(), (ROOT / "README.md").read_text()
    for name in {*ORDER, *names()} - {"image", "store", "trash", "daemon"}:
        assert f"| `{name}" in readme
        assert f'.SS "{name.replace("-", chr(92) + "-")}' in page


@pytest.mark.skipif(not shutil.which("man"), reason="no man here")
def test_man_shows_the_page_without_a_warning() -> None:
    argv = ["man", "--warnings", "--local-file", str(PAGE)]
    variables = os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "100"}
    done = subprocess.run(argv, capture_output=True, text=True, env=variables, check=True)
    assert not done.stderr
    assert "vertui - branch running virtual machines" in done.stdout
    assert "vertui fork main~2 -n 2 --name try --exec 'make test > /tmp/log 2>&1'" in done.stdout


@pytest.mark.skipif(not shutil.which("mandoc"), reason="no mandoc here")
def test_mandoc_finds_nothing_in_the_page() -> None:
    done = subprocess.run(["mandoc", "-T", "lint", str(PAGE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
