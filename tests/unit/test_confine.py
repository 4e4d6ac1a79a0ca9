"""A confined process, started by a real holder: what it may not, what it may, and where the kernel lacks something."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.daemon.start import end_all
from core.holder.confine import Confinement, trouble
from core.holder.held import HolderLine
from core.home import Home
from core.machine.reopening import answered
from tests import intruder
from tests.conftest import ROOT
from tests.guests import eventually

PYTHON = shutil.which("python3", path="/usr/bin:/bin")
pytestmark = pytest.mark.skipif(PYTHON is None, reason="no python3 where machines may read programs")
LIMITS = Confinement(1 << 30, 1 << 20, reopened=3, asking=4)
Wanted = dict[str, list[str | int]]

LACKING = """
import errno, os, sys, pyseccomp
rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
if sys.argv[1] == "Landlock":
    rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "landlock_create_ruleset")
if sys.argv[1] == "listener":
    rules.add_rule(pyseccomp.ERRNO(errno.EBUSY), "seccomp", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, 8, 8))
rules.load()
os.execv(sys.executable, [sys.executable, "-m", "core.holder.server", sys.argv[2]])
"""

SERVER = """
import json, os, socket, sys
from core.holder.confine import confine_server
given = socket.socketpair()
confine_server([sys.argv[1]])
def tried(what):
    try:
        what()
        return "done"
    except OSError as error:
        return type(error).__name__
print(json.dumps({
    "its file": tried(lambda: open(sys.argv[1]).close()),
    "its library": tried(lambda: open(json.__file__).close()),
    "what it was given": tried(lambda: (given[0].send(b"x"), given[1].recv(1))),
    "another's file": tried(lambda: open(sys.argv[2]).close()),
    "to write": tried(lambda: open(sys.argv[1], "a").close()),
    "a socket": tried(lambda: socket.socket(socket.AF_INET).connect(("127.0.0.1", 22))),
    "a process": tried(os.fork),
    "a program": tried(lambda: os.execv("/bin/true", ["true"])),
    "a signal": tried(lambda: os.kill(os.getppid(), 0)),
}))
"""


@contextmanager
def holder(home: Home, lacking: str = "nothing") -> Iterator[HolderLine]:
    """One on a kernel that lacks something."""
    environment = os.environ | {"VERTUI_HOME": str(home.root), "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", LACKING, lacking, str(home.root)]
    subprocess.run(argv, check=True, env=environment)
    line = HolderLine(home)
    line.rest()
    try:
        yield line
    finally:
        line.close()
        end_all(home)


@contextmanager
def intruding(
    held: HolderLine, home: Home, wanted: Wanted, asking: socket.socket, given: int
) -> Iterator[None]:
    """A confined program that makes its attempts. It sends its listener to a socket, and was given a file to be read,
    as its descriptor 3.
    """
    said(home).write_text("")
    argv = [str(PYTHON), "-c", Path(intruder.__file__).read_text(), json.dumps(wanted)]
    held.spawn("intruder", argv, said(home), [given, asking.fileno()], confined=LIMITS)
    yield
    assert eventually(lambda: "intruder" not in held.holdings().children)


@contextmanager
def given_file(home: Home) -> Iterator[int]:
    path = home.root / "given"
    path.write_bytes(bytes(4096))
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def said(home: Home) -> Path:
    return home.log / "said"


def has_said(home: Home) -> dict[str, str]:
    assert said(home).read_text().endswith("\n")
    found: dict[str, str] = json.loads(said(home).read_text())
    return found


def told(held: HolderLine, home: Home, wanted: Wanted) -> dict[str, str]:
    """What a confined program says of its attempts. Nobody answers its listener."""
    ours, theirs = socket.socketpair()
    with ours, theirs, given_file(home) as given, intruding(held, home, wanted, theirs, given):
        theirs.close()
        for listener in socket.recv_fds(ours, 1, 1)[1]:
            os.close(listener)
        assert eventually(lambda: said(home).read_text().endswith("\n"))
    return has_said(home)


def forbidden(home: Home) -> Wanted:
    """What none may whatever the kernel lacks, as long as it filters calls."""
    return {
        "the holder's socket": ["reach", str(home.holder_socket), int(socket.SOCK_SEQPACKET)],
        "TCP": ["call", "127.0.0.1", 1],
        "a signal": ["signal", os.getpid()],
        "memory of others": ["copy_from", os.getpid()],
        "namespaces": ["enter", "/proc/self/ns/net"],
        "a child": ["fork"],
        "memory that nobody counts": ["make_memory_file"],
        "more memory": ["take_memory", 1 << 31],
        "a longer file": ["lengthen", 1, LIMITS.file_bytes + 1],
        "more descriptors": ["take_descriptor", LIMITS.descriptors],
    }


def of_others(home: Home) -> Wanted:
    """What Landlock keeps from it."""
    return {
        "a file to read": ["read", str(home.holder_lock)],
        "a file to write": ["write", str(home.holder_lock)],
        "a file of its own": ["make", str(home.root / "new")],
        "a directory": ["list_names", str(home.root)],
        "the log it prints to": ["update", str(home.log / "said")],
        "another's /proc": ["look_into", os.getpid()],
    }


ALLOWED: Wanted = {"what it was given": ["read", "/proc/self/fd/3"], "libraries": ["list_names", "/usr/lib"]}


def done(found: dict[str, str]) -> set[str]:
    return {name for name, what in found.items() if what == "done"}


def test_it_may_use_what_it_was_given_and_nothing_else(home: Home) -> None:
    with holder(home) as held:
        writing: Wanted = {"to write what it was given to read": ["share", "3"]}
        found = told(held, home, ALLOWED | forbidden(home) | of_others(home) | writing)
        assert done(found) == set(ALLOWED), found


async def test_who_opens_its_memory_to_write_is_given_it_to_read(home: Home) -> None:
    again, other = "/proc/self/fd/3", str(home.holder_lock)
    wanted: Wanted = {"opened": ["update", again], "mapped": ["share", again], "other": ["update", other]}
    with holder(home) as held, given_file(home) as given, answered(again.encode(), given) as asking:
        with intruding(held, home, wanted, asking, given):
            async with asyncio.timeout(60):
                while not said(home).read_text().endswith("\n"):
                    await asyncio.sleep(0.02)
        found = has_said(home)
        assert done(found) == {"opened"} and "Permission denied" in found["mapped"], found


def test_without_landlock_it_runs_and_has_the_rest_of_it(home: Home) -> None:
    with holder(home, "Landlock") as held:
        found = told(held, home, ALLOWED | forbidden(home))
        assert done(found) == set(ALLOWED), found


def test_where_its_calls_have_a_listener_already_it_opens_again_to_write_what_qemu_does(home: Home) -> None:
    """Else QEMU could not start there."""
    again: Wanted = {"again, to write": ["update", "/proc/self/fd/3"]}
    with holder(home, "listener") as held:
        found = told(held, home, ALLOWED | again | forbidden(home) | of_others(home))
        assert done(found) == {*ALLOWED, *again}, found


def test_a_process_that_is_not_confined_may_all_of_it(home: Home) -> None:
    """Else the tests above would show nothing."""
    assert done({name: intruder.tried(*what) for name, what in of_others(home).items()}) >= {"a directory"}


@pytest.mark.skipif(trouble() is not None, reason="the kernel lacks some of it")
def test_a_server_has_its_connections_and_files_to_read_and_nothing_else(tmp_path: Path) -> None:
    for name in ("own", "other"):
        (tmp_path / name).write_text("text")
    argv = [sys.executable, "-c", SERVER, str(tmp_path / "own"), str(tmp_path / "other")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment)
    told: dict[str, str] = json.loads(done.stdout)
    assert [what for what, became in told.items() if became == "done"] == [
        "its file",
        "its library",
        "what it was given",
    ]
    assert {became for became in told.values() if became != "done"} == {"PermissionError"}
