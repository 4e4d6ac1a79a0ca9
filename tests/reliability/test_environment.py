"""No verb takes its environment for granted: whatever the streams, variables, limits and directories it is started
with, it ends by itself, and what it cannot do it says in one line.

The verbs are read off the command line itself, so that a new one is tried, too. The home has no image: nothing boots.
"""

import os
import random
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import typer

from core.daemon.start import end_all, ensure_daemon
from core.home import Home, find_home
from tests.conftest import full
from vertui.commands.group import app

VERTUI = Path(sys.executable).with_name("vertui")
TOLD_OF_A_BUG = (b"a bug", b"Traceback", b"Exception ignored", b"internal error", b"failed at this")
BUG = 70
DEADLINE_S = 120
PAIRS = 700  # of environment and verb, in the full count; else each environment once, with some verb
WITH = {  # what a verb needs beside its arguments, to be quick and to change nothing
    "exec": ("--", "true"),
    "image build": ("--memory", "1M"),
    "demo": ("--help",),
    "serve": ("--help",),
    "config": (),
}
ALWAYS_PRINT = ("ls", "ls --json", "tree", "log", "config", "image ls", "trash ls", "daemon status", "--help")


@dataclass(frozen=True)
class Environment:
    """A shell line around the command "$@", and variables: None for one that is not set."""

    name: str
    line: str = 'exec "$@"'
    variables: dict[str, str | None] = field(default_factory=dict)


def of(name: str, **variables: str | None) -> Environment:
    return Environment(name, variables=variables)


def streams(redirection: str) -> Environment:
    return Environment(redirection, f'exec "$@" {redirection}')


UNWRITABLE = (
    streams(">&-"),
    streams(">/dev/full"),
    streams(">&- 2>&- <&-"),
    streams(">/dev/full 2>/dev/full"),
)
LANGUAGES = (
    of("LC_ALL=C", LC_ALL="C"),
    of("LC_ALL=C in earnest", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"),
    of("a locale there is not", LC_ALL="de_XX.nothing"),
    of("ascii", PYTHONIOENCODING="ascii"),
    of("latin-1, strict", PYTHONIOENCODING="latin-1:strict"),
)
TERMINALS = (
    of("no TERM", TERM=None),
    of("an odd TERM", TERM="no-such-terminal"),
    of("TZ", TZ="Nowhere/Land"),
    of("no columns", COLUMNS="0", LINES="0"),
    of("odd columns", COLUMNS="wide", LINES="-3"),
    of("one column", COLUMNS="1"),
    of("NO_COLOR", NO_COLOR=""),
)
STREAMS = (
    streams("<&-"),
    streams("2>&-"),
    streams("<&- 2>&-"),
    streams("2>/dev/full"),
    streams("</dev/full"),
    Environment("its reader is gone", 'mkfifo "$T/p"; exec 3<>"$T/p" 4>"$T/p" 3>&-; exec "$@" >&4'),
)
PROCESS = (
    Environment("few descriptors", 'ulimit -n 16; exec "$@"'),
    Environment("no file may grow", 'ulimit -f 0; exec "$@"'),
    Environment("a small stack", 'ulimit -Ss 256; exec "$@"'),
    Environment("umask 0777", 'umask 0777; exec "$@"'),
    Environment("signals ignored", "trap '' PIPE INT HUP TERM CHLD; exec \"$@\""),
    Environment("no terminal", 'exec setsid -w "$@"'),
    Environment("nowhere", 'mkdir "$T/gone"; cd "$T/gone"; rmdir "$T/gone"; exec "$@"'),
    Environment(
        "beside a core of its own", 'mkdir "$T/core"; echo 1/0 > "$T/core/__init__.py"; cd "$T"; exec "$@"'
    ),
    of("no PATH", PATH=""),
    of("PATH without anything", PATH="/nowhere"),
    of("no TMPDIR", TMPDIR="/nowhere"),
    of("no HOME", HOME=None),
    of("HOME is a file", HOME="/dev/null"),
)
HOMES = (
    of("home below a file", VERTUI_HOME="/dev/null/x"),
    of("home in /proc", VERTUI_HOME="/proc/nowhere/x"),
    of("home is a file", VERTUI_HOME="/etc/passwd"),
    of("a name too long", VERTUI_HOME="/tmp/" + "x" * 300),
    of("a path too long", VERTUI_HOME="/tmp" + "/x" * 3000),
    of("a user there is not", VERTUI_HOME="~nobody-at-all/x"),
    Environment("a link to itself", 'ln -s l "$T/l"; VERTUI_HOME="$T/l" exec "$@"'),
    Environment("a link to nothing", 'ln -s /proc/nowhere/x "$T/l"; VERTUI_HOME="$T/l" exec "$@"'),
    Environment(
        "a home that can only be read",
        'mkdir "$T/r"; exec unshare -rm sh -c \'mount --bind "$T/r" "$T/r" && mount -o remount,bind,ro "$T/r" &&'
        ' VERTUI_HOME="$T/r" exec "$@"\' sh "$@"',
    ),
    of("sockets too deep", XDG_RUNTIME_DIR="/tmp/" + "./" * 60),
)
RUNTIMES = (
    of("a relative runtime directory", XDG_RUNTIME_DIR="run"),
    of("a relative data directory", XDG_DATA_HOME="data", VERTUI_HOME=None, HOME="/dev/null"),
)
ENVIRONMENTS = (*UNWRITABLE, *LANGUAGES, *TERMINALS, *STREAMS, *PROCESS, *HOMES, *RUNTIMES)
STARTS = (*LANGUAGES, *PROCESS[2:])  # a daemon started in one works for all


def verbs() -> list[list[str]]:
    """Every verb, with as many arguments as it must have: they name nothing that there is."""
    found: list[list[str]] = []

    def walk(command: Any, path: list[str]) -> None:
        if hasattr(command, "list_commands"):
            for name in command.list_commands(None):
                walk(command.get_command(None, name), [*path, name])
            return
        given = [_argument(parameter) for parameter in command.params if parameter.required]
        found.append([*path, *given, *WITH.get(" ".join(path), ())])

    walk(typer.main.get_command(app), [])
    return [*found, [], ["--help"], ["--version"], ["daemon", "stop", "--all"]]


def _argument(parameter: Any) -> str:
    return "1" if parameter.type.name in ("float", "integer") else "nobody"


def run(
    home: Home, directory: Path, environment: Environment, argv: list[str]
) -> "subprocess.CompletedProcess[bytes]":
    directory.mkdir(exist_ok=True)
    given = {**os.environ, "VERTUI_HOME": str(home.root), "T": str(directory), **environment.variables}
    try:
        return subprocess.run(
            ["/bin/sh", "-c", environment.line, "sh", VERTUI, *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DEADLINE_S,
            cwd=directory,
            env={name: value for name, value in given.items() if value is not None},
        )
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Home]:
    """A home without anything in it; whatever was started there ends."""
    home = find_home(str(tmp_path / "home"))
    yield home
    end_all(home)
    shutil.rmtree(home.runtime, ignore_errors=True)


def is_well(done: "subprocess.CompletedProcess[bytes]") -> bool:
    """It ended by itself, and says nothing of a bug; each line on standard error is a whole one of ours."""
    told = any(word in done.stdout + done.stderr for word in TOLD_OF_A_BUG)
    odd = [line for line in done.stderr.splitlines() if not line.startswith(b"vertui: ")]
    return done.returncode >= 0 and done.returncode != BUG and not told and not odd


def test_no_verb_in_no_environment_ends_as_a_bug(empty: Home, tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    ensure_daemon(empty)
    each_verb = verbs()
    chance.shuffle(each_verb)
    pairs = list(zip(ENVIRONMENTS, cycle(each_verb)))
    if full():
        pairs += zip(cycle(chance.sample(ENVIRONMENTS, len(ENVIRONMENTS))), each_verb)
        pairs += [(chance.choice(ENVIRONMENTS), chance.choice(each_verb)) for _ in range(PAIRS)]
    ended = {
        f"vertui {' '.join(verb)} with {environment.name}": run(empty, tmp_path / "here", environment, verb)
        for environment, verb in pairs
    }
    ill = {what: done for what, done in ended.items() if not is_well(done)}
    assert not ill, "\n".join(
        f"{what}: {done.returncode} {done.stderr.decode()}" for what, done in ill.items()
    )


@pytest.mark.parametrize("verb", ALWAYS_PRINT if full() else ALWAYS_PRINT[::4])
def test_what_could_not_be_printed_is_no_success(empty: Home, tmp_path: Path, verb: str) -> None:
    ensure_daemon(empty)
    for environment in UNWRITABLE:
        done = run(empty, tmp_path / "here", environment, verb.split())
        assert is_well(done) and done.returncode == 1, f"vertui {verb} with {environment.name}: {done}"
        if "2>" not in environment.name:
            assert done.stderr.startswith(b"vertui: cannot write to standard output: ")
    gone = run(empty, tmp_path / "here", STREAMS[-1], verb.split())
    assert (gone.returncode, gone.stderr) == (141, b"")


@pytest.mark.parametrize(
    "environment", STARTS if full() else random.Random(12).sample(STARTS, 3), ids=lambda one: one.name
)
def test_a_daemon_started_anywhere_serves_all_and_keeps_its_files_private(
    empty: Home, tmp_path: Path, environment: Environment
) -> None:
    done = run(empty, tmp_path / "here", environment, ["ls"])
    assert (done.returncode, done.stderr) == (0, b""), f"{environment.name}: {done}"
    for root in (empty.root, empty.runtime):
        for path in (root, *root.rglob("*")):
            facts = path.lstat()
            mode = stat.S_IMODE(facts.st_mode)
            assert mode & 0o077 == 0 or stat.S_ISSOCK(facts.st_mode), f"{path} is {mode:o}"
            assert mode & 0o600 == 0o600, f"{path} is {mode:o}"
    doctor = run(empty, tmp_path / "here", of("as usual"), ["doctor"])
    assert b"missing" not in doctor.stdout, doctor.stdout.decode()


def test_a_home_of_any_bytes_is_a_home(tmp_path: Path) -> None:
    home = find_home(os.fsdecode(bytes(tmp_path) + b"/h \xff\xc3\xa9"))
    try:
        for verb in (
            ["ls"],
            ["daemon", "status"],
            ["doctor"],
            ["image", "build", "--memory", "1M"],
            ["store", "gc"],
        ):
            done = run(home, tmp_path / "here", of("as usual"), verb)
            assert is_well(done) and done.returncode in (0, 2), f"{verb}: {done}"
    finally:
        end_all(home)
        shutil.rmtree(home.runtime, ignore_errors=True)
