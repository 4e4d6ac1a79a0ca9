"""A command's outputs and its input, none of which ever blocks the agent."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections.abc import Callable

from . import wire
from .loop import READ, WRITE, Poller
from .ring import RING_BYTES, Ring
from .spawn import BadRequest

READ_BYTES = 2 * wire.CHUNK_BYTES
"""A full pipe's worth, in whole frames."""


class Stream:
    """One of a command's outputs: a pipe read into a ring, which never blocks the command (unless it is lossless)."""

    def __init__(
        self,
        poller: Poller,
        backlog: Callable[[Stream], int],
        ended: Callable[[], None],
        resumed: Callable[[], None],
    ) -> None:
        self.ring = Ring()
        self.open = False
        self.stopped = False
        self._fd = -1
        self._poller = poller
        self._backlog = backlog
        self._ended = ended
        self._resumed = resumed

    def follow(self, fd: int) -> None:
        """Read `fd` from now on, and own it."""
        os.set_blocking(fd, False)
        self._fd = fd
        self.open = True
        self._poller.watch(fd, READ, self.read)

    def read(self) -> None:
        """Take what is there; stop reading when followers of a lossless command have a full ring to catch up on."""
        room = RING_BYTES - self._backlog(self)
        if room <= 0:
            self.stopped = True
            self._poller.forget(self._fd)
            return
        try:
            data = os.read(self._fd, min(READ_BYTES, room))
        except BlockingIOError:
            return
        except OSError:  # EIO: the last process has closed the terminal
            data = b""
        if data:
            self.ring.write(data)
        else:
            self.close()
            self._ended()

    def resume(self) -> None:
        """Read on, should `read` have stopped."""
        if self.open and self.stopped:
            self.stopped = False
            self._poller.watch(self._fd, READ, self.read)
            self._resumed()

    def close(self) -> None:
        """Stop reading for good."""
        if self.open:
            self.open = False
            self._poller.forget(self._fd)
            os.close(self._fd)


class Input:
    """A command's standard input: takes a window of bytes ahead and feeds them as the command reads."""

    def __init__(self, poller: Poller, fd: int, *, tty: bool) -> None:
        self._poller = poller
        self._fd = fd
        self._tty = tty
        self._buffer = bytearray()
        self._eof = False
        self.received = 0
        self.shut = False
        if fd >= 0:
            os.set_blocking(fd, False)

    @property
    def written(self) -> int:
        """Bytes the command's pipe has taken (or that came after it was closed)."""
        return max(0, self.received - len(self._buffer))  # the end of a terminal's input is a byte of its own

    def feed(self, offset: int, data: bytes) -> None:
        """Take bytes at their offset; none mean the end. BadRequest when they do not follow what came before."""
        if offset != self.received or len(self._buffer) + len(data) > wire.WINDOW_BYTES:
            raise BadRequest(f"input at {offset} does not follow {self.received} or exceeds the window")
        self.received += len(data)
        if self._eof or self._fd < 0:
            self.shut = self.shut or not self._eof
            return
        self._eof = not data
        self._buffer += data if data or not self._tty else b"\x04"
        self.write()

    def write(self) -> None:
        """Hand on what the command takes now."""
        try:
            while self._buffer:
                del self._buffer[: os.write(self._fd, self._buffer)]
        except BlockingIOError:
            self._poller.watch(self._fd, WRITE, self.write)
            return
        except OSError:  # the command closed its input
            self.shut = True
            self.close()
            return
        self._poller.forget(self._fd)
        if self._eof and not self._tty:
            self.close()

    def end(self) -> None:
        """Nothing more will come: the command reads what there is, and then the end."""
        if not self._eof:
            self.feed(self.received, b"")

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size; its foreground processes are told."""
        if self._fd >= 0:
            set_size(self._fd, rows, columns)

    def close(self) -> None:
        """Close the pipe; what has not been read is lost."""
        self._buffer.clear()
        if self._fd >= 0:
            self._poller.forget(self._fd)
            os.close(self._fd)
            self._fd = -1


def set_size(terminal: int, rows: int, columns: int) -> None:
    """Set a terminal's size; its foreground processes are told."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
