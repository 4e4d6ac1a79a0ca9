"""A few small edits as one batch of steps, which `core/guest/scripts/receive.py` puts in place in a branch."""

# The paths are bytes that pathlib cannot hold.
# ruff: noqa: PTH115, PTH116, PTH118

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from core.errors import VertuiError
from core.guest.scripts.receive import DIRECTORY, FILE, LENGTH, LINK, REMOVE, STEP
from core.names import spelled

MOST_BYTES = 1 << 20  # of a batch: a guest has it in memory, and of larger files rsync sends what differs
MOST_NAMES = 500  # a guest has their directories open, of which a process has at most 1024
OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
GONE = (FileNotFoundError, NotADirectoryError)  # they are none to be brought


class TooMuch(Exception):
    """More than a batch holds, or other than it does."""


class Batch:
    """What is at names in a directory here, after what is no more at others.

    The directories on the way come along, as rsync has it. `left_out` are names of devices. TooMuch for what is for
    rsync, VertuiError for what cannot be read.
    """

    def __init__(self, directory: Path, names: Iterable[bytes], removed: Iterable[bytes]) -> None:
        self._top = os.fsencode(directory)
        self._steps: list[bytes] = []
        self._size_bytes = 0
        self._directories: dict[bytes, os.stat_result] = {}
        self.left_out: list[bytes] = []
        names, removed = sorted(names), sorted(removed)
        if len(names) + len(removed) > MOST_NAMES:
            raise TooMuch
        try:
            self._collect(names, removed)
        except OSError as error:
            where = spelled(os.fsencode(error.filename or self._top))
            raise VertuiError(f"cannot read {where}: {error.strerror}") from error

    def message(self) -> bytes:
        """As it is sent."""
        return LENGTH.pack(self._size_bytes) + b"".join(self._steps)

    def _collect(self, names: list[bytes], removed: list[bytes]) -> None:
        for name in removed:
            if not os.path.lexists(self._path(name)):
                self._add(REMOVE, name)
        found = [(name, info) for name in names if (info := self._look(name))]
        for name in (*names, *removed):
            self._lead_to(name)
        self._directories |= {name: info for name, info in found if stat.S_ISDIR(info.st_mode)}
        for name, info in sorted(self._directories.items()):
            self._add(DIRECTORY, name, info)
        for name, info in found:
            with suppress(*GONE):
                self._add_entry(name, info)

    def _path(self, name: bytes) -> bytes:
        return os.path.join(self._top, name) if name else self._top

    def _look(self, name: bytes) -> os.stat_result | None:
        try:
            return os.lstat(self._path(name))
        except GONE:
            return None

    def _lead_to(self, name: bytes) -> None:
        """The directories above a name, the top among them."""
        while name:
            name = name.rpartition(b"/")[0]
            if name in self._directories:
                return
            info = self._look(name) if name else os.stat(self._top)
            if info and stat.S_ISDIR(info.st_mode):
                self._directories[name] = info

    def _add_entry(self, name: bytes, info: os.stat_result) -> None:
        if stat.S_ISLNK(info.st_mode):
            self._add(LINK, name, info, os.readlink(self._path(name)))
        elif stat.S_ISREG(info.st_mode):
            self._add(FILE, name, *self._read(name))
        elif not stat.S_ISDIR(info.st_mode):
            self.left_out.append(name)

    def _read(self, name: bytes) -> tuple[os.stat_result, bytes]:
        """A file as it is, at one moment as far as it can be had: what is written on is told of anew."""
        descriptor = os.open(self._path(name), OPEN)
        with os.fdopen(descriptor, "rb") as file:
            info = os.fstat(descriptor)
            if info.st_size > MOST_BYTES or not stat.S_ISREG(info.st_mode):
                raise TooMuch
            return info, file.read(MOST_BYTES + 1)

    def _add(self, kind: bytes, name: bytes, info: os.stat_result | None = None, data: bytes = b"") -> None:
        mode, mtime_ns = (stat.S_IMODE(info.st_mode), info.st_mtime_ns) if info else (0, 0)
        step = STEP.pack(kind, mode, mtime_ns, len(name), len(data)) + name + data
        self._steps.append(step)
        self._size_bytes += len(step)
        if self._size_bytes > MOST_BYTES:
            raise TooMuch
