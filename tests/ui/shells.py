"""Twins of a shell's connection: programs of this machine in a terminal of their own, and connections made by hand."""

import os
import pty
import queue
import select
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fcntl import ioctl

from core.daemon.streams import Exit, Output, Started, StreamMessage
from core.errors import VertuiError
from tests.guests import eventually
from vertui.widgets.shell import Open, Shell, ShellStream

READ_BYTES = 32 * 1024


class Program:
    """A program in a pseudo-terminal, as the guest's agent runs one. What is typed comes by the shell's `stdin`."""

    def __init__(self, shell: Shell, argv: tuple[str, ...]) -> None:
        master, slave = pty.openpty()
        self._shell, self._master, self._closed = shell, master, threading.Event()
        environment = {"TERM": "xterm-256color", "PATH": os.environ["PATH"], "PS1": "$ ", "HOME": "/nowhere"}
        self._child = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=environment | {"LANG": "C.UTF-8"},
            start_new_session=True, preexec_fn=lambda: ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        shell.stdin.begin(0, 0)
        shell.stdin.on_change = self._write
        self._written = 0

    def __iter__(self) -> Iterator[StreamMessage]:
        yield Started(1)
        offset = 0
        while not self._closed.is_set():
            if not select.select([self._master], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(self._master, READ_BYTES)
            except OSError:
                break
            yield Output(1, offset, data)
            offset += len(data)
        code = self._child.wait()
        yield Exit(code if code >= 0 else 128 - code, False)

    def _write(self) -> None:
        while data := self._shell.stdin.after(self._written):
            self._written += os.write(self._master, data)
            self._shell.stdin.taken(self._written)

    def resize(self, rows: int, columns: int) -> None:
        """As the agent does it."""
        ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        """Read no more."""
        self._closed.set()

    def end(self) -> None:
        """End it, and all that it started."""
        self._closed.set()
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()


@contextmanager
def programs() -> Iterator[Callable[..., Open]]:
    """Gives what opens shells that are a program, `programs("sh")`; ends them all."""
    started: list[Program] = []

    def running(*argv: str) -> Open:
        def opened(shell: Shell, again: bool) -> ShellStream:
            started.append(Program(shell, argv))
            return started[-1]

        return opened

    try:
        yield running
    finally:
        for program in started:
            program.end()


class Told:
    """A connection that says what a test puts, an error as the end of it."""

    def __init__(self) -> None:
        self.said = queue.SimpleQueue[StreamMessage | VertuiError]()
        self.sizes: list[tuple[int, int]] = []

    def __iter__(self) -> Iterator[StreamMessage]:
        while not isinstance(message := self.said.get(), VertuiError):
            yield message
        raise message

    def resize(self, rows: int, columns: int) -> None:
        """What the terminal's size is."""
        self.sizes.append((rows, columns))

    def close(self) -> None:
        """Nothing is open."""


class Line:
    """Opens hand-made connections, and keeps from which offset each went on."""

    def __init__(self) -> None:
        self.connections: list[Told] = []
        self.offsets: list[tuple[int | None, int, bool]] = []
        self.refusals: list[VertuiError] = []
        self.shell: Shell | None = None

    def __call__(self, shell: Shell, again: bool) -> ShellStream:
        """The next connection, or why there is none."""
        self.shell = shell
        if self.refusals:
            raise self.refusals.pop(0)
        self.offsets.append((shell.command, shell.offset, again))
        shell.stdin.begin(shell.stdin.position, shell.stdin.position)
        self.connections.append(Told())
        return self.connections[-1]

    @property
    def typed(self) -> bytes:
        """All that has been typed and not been taken."""
        assert self.shell is not None
        return self.shell.stdin.after(0) or b""

    def say(self, *messages: StreamMessage | VertuiError) -> None:
        """Say this on the newest connection."""
        assert eventually(lambda: bool(self.connections))
        for message in messages:
            self.connections[-1].said.put(message)
