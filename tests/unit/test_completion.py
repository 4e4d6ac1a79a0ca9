"""Completion offers what may stand there, in the shells themselves; it starts nothing, tells no error, never hangs."""

import os
import pty
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.home import Home
from core.model import Setting, TrashEntry
from core.verbs import load, names
from core.verbs.base import NAMES, fields_of
from tests.stand_in import standing_in
from tests.ui.trees import DEMO
from vertui.commands.completion import SCRIPTS, told
from vertui.commands.group import ALIASES, ORDER

VERTUI = Path(sys.executable).with_name("vertui")
BRANCHES = [branch.name for branch in DEMO.branches] + ["@trunk"]
TAGS = [tag for commit in DEMO.commits for tag in commit.tags]
GONE = TrashEntry("1f", "branch", "gone", 0, 1.0, 2.0)
LEVEL = Setting("store.level", 3, 3, "how hard to compress")
ANSWER_S = 120.0  # for a shell on a busy host; one that does not answer hangs


@pytest.fixture
def known(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home whose daemon knows the demo's tree."""
    monkeypatch.setenv("VERTUI_HOME", str(home.root))
    monkeypatch.setenv("VERTUI_SLOW", "40")  # a busy host is no daemon that hangs
    monkeypatch.setenv("PATH", f"{VERTUI.parent}:{os.environ['PATH']}")
    with standing_in(home, {"/v1/tree": DEMO, "/v1/trash": [GONE], "/v1/settings": [LEVEL]}):
        yield home


@pytest.mark.parametrize(
    "verb", ["exec", "ps", "shell", "console", "watch", "pause", "resume", "commit", "promote", "score"]
)
def test_branches_are_offered(known: Home, verb: str) -> None:
    assert told("bash", f"vertui {verb} ") == BRANCHES
    assert told("bash", f"vertui {verb} ma") == ["main"]


@pytest.mark.parametrize(
    "verb", ["diff", "patch", "export-files", "apply", "fork", "branch", "prune", "tag", "export"]
)
def test_branches_tags_and_commits_are_offered(known: Home, verb: str) -> None:
    offered = told("bash", f"vertui {verb} ")
    assert {*offered} >= {*BRANCHES, *TAGS, *(commit.id[:8] for commit in DEMO.commits)}


def test_every_field_that_names_something_is_completed(known: Home) -> None:
    for name in names():
        for number, field in enumerate(
            sorted(fields_of(load(name)), key=lambda field: not field.is_argument)
        ):
            if field.given.kind in NAMES:
                before = "x " * number if field.is_argument else f"x {field.flags[0]} "
                assert told("bash", f"vertui {name} {before}"), (name, field.name)


@pytest.mark.parametrize(
    ("shell", "line", "offered"),
    [
        ("bash", "vertui pa", ["patch", "pause"]),
        ("bash", "vertui pause main b", ["b1", "b2", "b3", "b4"]),
        ("bash", "vertui pause b1 b", ["b2", "b3", "b4"]),
        ("bash", "vertui cp m", ["main:"]),
        ("zsh", "vertui cp m", ["main\\:"]),
        ("bash", "vertui up --image=", ["debian"]),
        ("zsh", "vertui up --image=", ["--image=debian"]),
        ("fish", "vertui up --image=d", ["--image=debian"]),
        ("bash", "vertui exec b1 -- ", []),
        ("bash", "vertui trash restore ", ["gone"]),
        ("bash", "vertui config ", ["store.level"]),
        ("bash", "vertui completion ", ["bash", "zsh", "fish"]),
        ("bash", "vertui fork 'm", ["main"]),
        ("fish", "vertui pause --js", ["--json\tPrint JSON instead of text."]),
        ("zsh", "vertui pause --js", ["--json:Print JSON instead of text."]),
    ],
)
def test_what_is_offered(known: Home, shell: str, line: str, offered: list[str]) -> None:
    assert told(shell, line) == offered


def test_every_verb_is_offered(known: Home) -> None:
    offered = told("bash", "vertui ")
    assert {*offered} == {*ORDER} | {name.partition(" ")[0] for name in names()} - {*ALIASES}


def test_bash_completes(known: Home) -> None:
    program = """
source <(vertui completion bash)
COMP_LINE="vertui pause ma"; COMP_POINT=${#COMP_LINE}
_vertui vertui ma pause && echo "${COMPREPLY[@]}"; complete -p vertui
"""
    done = subprocess.run(["bash", "--norc", "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.split("\n")[0], done.stderr) == ("main", "")


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish here")
def test_fish_completes(known: Home) -> None:
    program = "vertui completion fish | source; complete -C 'vertui pause ma'; complete -C 'vertui cp /et'"
    done = subprocess.run(["fish", "--no-config", "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("main\n/etc/\n", "")


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh here")
def test_zsh_completes(known: Home, tmp_path: Path) -> None:
    """Typed at a terminal, as it completes nowhere else."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(shutil.which("zsh") or "", ["zsh", "-f", "-i"], os.environ | {"TERM": "dumb"})
    try:
        os.write(
            terminal, b"autoload -U compinit; compinit -D -u; source <(vertui completion zsh); echo set''up\n"
        )
        _await(terminal, b"setup\r\n")
        os.write(terminal, b"vertui pause ma\t\x01echo got \x05\n")
        _await(terminal, b"got vertui pause main\r\n")
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)


def _await(terminal: int, text: bytes) -> None:
    seen, deadline = b"", time.monotonic() + ANSWER_S
    while text not in seen:
        assert select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0], seen
        seen += os.read(terminal, 65536)


@pytest.mark.parametrize("shell", SCRIPTS)
def test_without_a_daemon_nothing_is_offered_and_none_is_started(tmp_path: Path, shell: str) -> None:
    done = ask(tmp_path / "home", shell, "vertui pause ")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("line", ["vertui nonsense ", "vertui pause --nonsense ", "vertui 'pa", ""])
def test_a_line_that_makes_no_sense_is_no_error(tmp_path: Path, line: str) -> None:
    done = ask(tmp_path / "home", "zsh", line)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_daemon_that_hangs_is_not_waited_for(home: Home) -> None:
    home.runtime.mkdir(mode=0o700, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(home.daemon_socket))
        silent.listen()
        done = ask(home.root, "bash", "vertui pause ")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def ask(home: Path, shell: str, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [VERTUI, "--complete", shell, line],
        capture_output=True,
        text=True,
        env=os.environ | {"VERTUI_HOME": str(home)},
        timeout=ANSWER_S,
    )
