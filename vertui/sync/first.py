"""A directory brought where there is nothing yet: in one stream, of which a program in the guest makes files.

rsync asks for each file by itself, and makes it under another name first; where nothing stands there is nothing to ask
for.
"""

# The paths are bytes that pathlib cannot hold.
# ruff: noqa: PTH115, PTH116

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from core.daemon.streams import Input
from core.errors import GuestFailed, VertuiError
from core.guest.scripts import guest_script
from core.guest.scripts.ignored import Rules
from core.guest.scripts.receive import DIRECTORY, FILE, HEAD, LINK, PIECE_BYTES
from core.names import spelled
from vertui.sync.guest import GuestSide
from vertui.sync.hearing import Tally

OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
AT_ONCE_BYTES = 1 << 20
"""Of a file: so much is read before its size is told, and no change of it can be in the way."""


def bring(side: GuestSide, directory: Path, rules: Rules) -> Tally:
    """All of a directory but what rules leave out. GuestFailed when it cannot be made there, VertuiError when it cannot
    be read here; nothing of it is there then.
    """
    top, failures = os.fsencode(directory), list[VertuiError]()
    stream = _Stream(top, rules, side.moved)

    def feed(stdin: Input) -> None:
        try:
            stream.send(stdin.write)
        except OSError as error:
            name = spelled(os.fsencode(error.filename or top))
            failures.append(VertuiError(f"cannot read {name}: {error.strerror}"))
        stdin.eof()  # before the last entry, nothing of it stays

    code = side.run(guest_script("receive"), feed, lambda _: None)
    if failures:
        raise failures[0]
    if code:
        lines = [line for line in side.said.split(b"\n") if line.strip()]
        reason = spelled(lines[-1]) if lines else f"exit status {code}"
        raise GuestFailed(f"sync to {side.place} failed: {reason}")
    return stream.tally


class _Left(Exception):
    """The program in the guest takes no more."""


class _Stream:
    """What `receive` reads; `moved` hears of its bytes."""

    def __init__(self, top: bytes, rules: Rules, moved: Callable[[int], None]) -> None:
        self._top, self._rules, self._moved = top, rules, moved
        self._waiting: list[bytes] = []
        self._waiting_bytes = self._files = self._size_bytes = 0
        self._left_out: list[bytes] = []

    @property
    def tally(self) -> Tally:
        """Of what was sent."""
        return Tally(self._files, self._size_bytes, 0, tuple(self._left_out))

    def send(self, write: Callable[[bytes], bool]) -> None:
        """Write it all, unless `write` says that nobody takes it. OSError for what cannot be read."""
        self._write = write
        with suppress(_Left):
            for name, entry, ignored in self._rules.within(self._top).walk():
                if not ignored:
                    with suppress(FileNotFoundError):  # it went away: it is none to be brought
                        self._send(name, os.fsencode(entry.path))
            self._add(DIRECTORY, b"", os.stat(self._top))
            self._flush()

    def _send(self, name: bytes, path: bytes) -> None:
        info = os.lstat(path)
        if stat.S_ISDIR(info.st_mode):
            self._add(DIRECTORY, name, info)
        elif stat.S_ISLNK(info.st_mode):
            self._add(LINK, name, info, os.readlink(path))
        elif stat.S_ISREG(info.st_mode):
            self._send_file(name, path)
        else:
            self._left_out.append(name)

    def _send_file(self, name: bytes, path: bytes) -> None:
        descriptor = os.open(path, OPEN)
        try:
            info = os.fstat(descriptor)
            size = info.st_size
            if size <= AT_ONCE_BYTES:
                data = os.read(descriptor, size)
                size = len(data)
                self._add(FILE, name, info, data)
            else:
                self._add(FILE, name, info, size_bytes=size)
                self._send_pieces(descriptor, path, size)
        finally:
            os.close(descriptor)
        self._files += 1
        self._size_bytes += size

    def _send_pieces(self, descriptor: int, path: bytes, size: int) -> None:
        while size:
            piece = os.read(descriptor, min(size, PIECE_BYTES))
            if not piece:
                raise OSError(errno.EIO, "it became shorter while it was read", path)
            size -= len(piece)
            self._put(piece)

    def _add(
        self, kind: bytes, name: bytes, info: os.stat_result, content: bytes = b"", size_bytes: int = 0
    ) -> None:
        mode, size = stat.S_IMODE(info.st_mode), size_bytes or len(content)
        self._put(HEAD.pack(kind, mode, info.st_mtime_ns, len(name), size), name, content)

    def _put(self, *parts: bytes) -> None:
        self._waiting += parts
        self._waiting_bytes += sum(map(len, parts))
        if self._waiting_bytes >= PIECE_BYTES:
            self._flush()

    def _flush(self) -> None:
        data, self._waiting, self._waiting_bytes = b"".join(self._waiting), [], 0
        self._moved(len(data))
        if not self._write(data):
            raise _Left
