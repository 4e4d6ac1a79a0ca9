"""On a terminal no text of guests or users is control, whatever verb prints it; in a pipe data is exact."""

import os
import pty
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.diff.entry import Aspect
from core.home import Home, find_home
from core.model import Finding, Operation, OperationState, Plan, TrashEntry
from tests.diffs import diff_of, file_diff, state
from tests.hostile import TEXTS, soiled, texts
from tests.stand_in import standing_in
from tests.ui.trees import COMMANDS, DEMO, NOON

PATCH = b"--- a/x\n+++ b/x\n@@ -1,2 +1,3 @@\n-- \x1b]0;t\x07\n+\x0cforged\x0b\x85\n+\xe2\x80\xa8\r--- a/y\n+\xff\n"
STYLE = re.compile(r"\x1b\[[0-9;]*m")
LEGAL = DEMO.branches[0]
VERBS = (
    "ls", "tree", "log", "ps main", "trash ls", "image ls", "doctor", "diff main b1", "diff main b1 --stat",
    "diff main b1 --patch", "patch main", "patch main --base b1", "prune b1 --dry-run", "promote b1 --dry-run",
    "trash empty --dry-run", "log --json", "ls --json", "diff main b1 --json", "export-files main / -", "tag main [/]x",
    "diff \x1b[31m \x1b[32m", "\x1b]0;t\x07", "ps --\x1bx", "config \x1b[31m", "rename main \x1b[31m",
)  # fmt: skip


def answers() -> dict[str, object]:
    """What a daemon would say whose guests are hostile."""
    source = texts(random.Random(1))
    operation = soiled(Operation(1, "r", "v", "s", OperationState.FAILED, True, NOON, error="e"), source)
    after = state(target="x")
    entries = (file_diff(text, None, after, what=(Aspect.CONTENT,), lines=(1, 0)) for text in TEXTS)
    return {
        "/v1/tree": soiled(DEMO, source),
        "/v1/log": [operation] * 3,
        "/v1/trash": [soiled(TrashEntry("t", "branch", "n", 5, NOON, NOON + 1e9), source)],
        "/v1/doctor": [soiled(Finding("n", False, "d", "f"), source)],
        "/v1/branches": [soiled(command, source) for command in COMMANDS],
        "/v1/plan": Plan("p", "prune", (), (), 1, True, TEXTS),
        "/v1/diff": diff_of(*entries, notes=tuple(TEXTS)),
        "/v1/patch": PATCH + b"# a remark \x1b[31m\n",
        "/v1/tag": operation,
    }


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose daemon is a stand-in."""
    monkeypatch.setenv("VERTUI_HOME", str(tmp_path / "home"))
    home = find_home()
    home.make()
    return home


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_but_colours_reaches_a_terminal(home: Home, verb: str) -> None:
    with standing_in(home, answers()):
        shown = on_a_terminal(*verb.split(" "))
    assert shown.strip(), "it says something"
    plain = STYLE.sub("", shown.replace("\r\n", "\n"))
    assert [char for char in plain if not char.isprintable() and char != "\n"] == []
    assert "Traceback" not in plain and "a bug" not in plain


def test_a_patch_is_exact_in_a_pipe_and_forges_nothing_on_a_terminal(home: Home) -> None:
    with standing_in(home, answers()):
        command = [sys.executable, "-m", "vertui", "diff", "main", "b1", "--patch"]
        piped = subprocess.run(command, capture_output=True, check=True).stdout
        patched = subprocess.run([*command[:3], "patch", "main"], capture_output=True, check=False)
        shown = on_a_terminal("diff", "main", "b1", "--patch").replace("\r\n", "\n")
    assert piped == PATCH + b"# a remark \x1b[31m\n"
    assert (patched.stdout, patched.returncode) == (PATCH, 3)
    assert b"\x1b" not in patched.stderr
    assert shown.count("\x1b[1m") == 3, "two heads and the remark are bold, and no line of a file is"
    assert "\x1b[32m+\\u2028\\x0d--- a/y\x1b[0m" in shown and "\x1b[31m-- \\x1b]0;t\\x07\x1b[0m" in shown


def on_a_terminal(*argv: str) -> str:
    """What `vertui ARGV` prints on one."""
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "200", "PYTHONPATH": str(Path.cwd())}
    child = subprocess.Popen(
        [sys.executable, "-m", "vertui", *argv], stdin=slave, stdout=slave, stderr=slave, env=environment
    )
    os.close(slave)
    shown = bytearray()
    try:
        while data := os.read(master, 65536):
            shown += data
    except OSError:  # the last of its users has closed it
        pass
    finally:
        os.close(master)
        child.wait(60)
    return shown.decode(errors="surrogateescape")
