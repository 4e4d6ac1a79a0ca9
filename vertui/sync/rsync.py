"""One run of rsync, its far side wherever somebody carries its streams to."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from core.debian import find
from core.errors import Unsupported
from core.python import lone_program, program
from vertui.sync.hearing import Hearing, Tally

REMOTE_SHELL = Path(__file__).with_name("remote_shell.py")
LONGEST_COMMAND = 64 * 1024  # that of a far side is a hundred characters
ENDS_S = 5.0  # for it to take its unfinished files away
ENVIRONMENT = {
    "LC_ALL": "C",
    "PATH": "/usr/bin:/bin",
}  # and nothing else that would change what it does or says
ALWAYS = ("-8", "--no-h", "--stats", "-lpt", "--modify-window=-1")
INCOMING = ("--safe-links", "--info=name1", "--chmod=Du+rwx,ug-s")
"""Of files that a guest sends: no link leads out, no program runs as its owner, a directory can be entered again."""

VANISHED = 24  # exit status: a file went away while it was read, so it is none to be brought any more


class FarSide(Protocol):
    """Runs rsync where the other directory is."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def said(self) -> bytes:
        """The last of what it wrote to its standard error."""

    def serve(self, command: Sequence[str], incoming: int, outgoing: int) -> int:
        """Run it there until it ends, and give its exit status. It is told what comes from `incoming`, and what it says
        goes to `outgoing`: descriptors that are closed then. Raises one of ours when it cannot be run.
        """


def run(
    far: FarSide,
    directory: Path,
    options: Sequence[str],
    names: Iterable[bytes] = (),
    *,
    incoming: bool = False,
) -> Tally:
    """Bring what is in a directory to the far side, or `incoming` the other way; what it did.

    `names` are for an option that reads them from standard input. Raises what the far side raises, GuestFailed for
    what fails there, NoRoom or VertuiError for what fails here.
    """
    ours, theirs = socket.socketpair()
    with ours, _listed(names) as listed:
        with theirs:
            shell = lone_program(REMOTE_SHELL, str(theirs.fileno()))
            process = subprocess.Popen(
                _command(directory, [*options, f"--rsh={' '.join(map(_quoted, shell))}"], incoming=incoming),
                stdin=listed,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=directory,
                env=ENVIRONMENT,
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C is ours: it ends by us
            )
        with (
            _followed(process) as said,
            ours,
        ):  # rsync waits for its far side, which waits for the other end of this
            _carry(ours, far)
    if process.returncode in (0, VANISHED):
        return said.tally()
    raise said.failure(far.name, far.said, incoming=incoming)


def _command(directory: Path, options: Sequence[str], *, incoming: bool) -> list[str]:
    rsync = find("rsync")
    if rsync is None:
        raise Unsupported("there is no rsync on this machine: apt-get install rsync")
    if not incoming:
        return [rsync, *ALWAYS, *options, "./", "guest:./"]
    confined = program("vertui.sync.confined", str(directory))
    return [*confined, rsync, *ALWAYS, *INCOMING, *options, "guest:./", "./"]


def _quoted(word: str) -> str:
    """A word of a remote shell's command line, as rsync reads it: a quote within quotes is doubled."""
    return "'{}'".format(word.replace("'", "''"))


@contextmanager
def _listed(names: Iterable[bytes]) -> Iterator[int]:
    """A file without a name of its own, with names that each end with a zero."""
    with os.fdopen(os.memfd_create("names", os.MFD_CLOEXEC), "wb+") as file:
        file.writelines(name + b"\0" for name in names)
        file.seek(0)
        yield file.fileno()


@contextmanager
def _followed(process: "subprocess.Popen[bytes]") -> Iterator[Hearing]:
    """A process that has ended after the block, of itself unless the block fails."""
    said = Hearing(process)
    try:
        yield said
        process.wait()
    except BaseException:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(ENDS_S)
        process.kill()
        process.wait()
        raise


def _carry(line: socket.socket, far: FarSide) -> None:
    """Have the command that rsync asks for run on the far side, should it come to ask."""
    told, descriptors, _, _ = socket.recv_fds(line, LONGEST_COMMAND, 2)
    if len(descriptors) == 2:
        for descriptor in descriptors:
            os.set_blocking(descriptor, True)
        status = far.serve(os.fsdecode(told).split("\0"), *descriptors)
        with suppress(BrokenPipeError):
            line.sendall(bytes((status & 0xFF,)))
