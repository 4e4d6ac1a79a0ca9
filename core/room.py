"""Room on the host's disk: how much there is, how its lack is said, and a reserve that is given up first."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import NoRoom

RESERVE_BYTES = 16 << 20
"""For the catalog's log, records written again and a few names: far more than gc ever takes."""
MARGIN_BYTES = 16 << 20  # left free when the reserve is made again: it must not be what makes the disk full


def free_bytes(path: Path) -> int:
    """What may still be written where a path lies, or will; 0 when nobody can tell."""
    there = next((part for part in (path, *path.parents) if part.exists()), Path("/"))
    try:
        return shutil.disk_usage(there).free
    except OSError:
        return 0


def shortage(path: Path, needed_bytes: int = 0) -> str:
    """What is short and by how much."""
    wanted = f", {_mib(needed_bytes)} needed" if needed_bytes else ""
    return f"{free_bytes(path) >> 20} MiB free on {_mount_of(path)}{wanted}"


def no_room(what: str, path: Path, needed_bytes: int = 0) -> NoRoom:
    """The error of whoever finds the disk full."""
    return NoRoom(
        f"no room for {what}: {shortage(path, needed_bytes)};"
        " `vertui store gc` and `vertui prune --now` free some"
    )


class Reserve:
    """A file that takes up room for the verbs that give room back, and for saying what a full disk did.

    `extra_bytes` tells what those may write beside the usual: an index is written whole before the old one goes.
    """

    def __init__(self, path: Path, extra_bytes: Callable[[], int]) -> None:
        self._path, self._extra = path, extra_bytes
        self._lock = threading.Lock()
        self._users = self._given = 0

    @property
    def size_bytes(self) -> int:
        """How much it should take."""
        return RESERVE_BYTES + self._extra()

    @property
    def whole(self) -> bool:
        """Does it take as much?"""
        return self._taken() >= self.size_bytes

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Give it up for the body when room is short; what the body left of that room is taken back at once."""
        with self._lock:
            self._users += 1
            if free_bytes(self._path) < self.size_bytes:
                self._given = max(self._given, self._taken())
                self._path.unlink(missing_ok=True)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._given and not self._users:
                    self._make(min(self._given, free_bytes(self._path)))
                    self._given = 0
            self.take_back()

    def take_back(self) -> bool:
        """Make it whole if nobody needs it and there is room; is it?"""
        with self._lock:
            if not self.whole and not self._users:
                room = free_bytes(self._path) + self._taken()
                if room >= self.size_bytes + MARGIN_BYTES:
                    self._make(self.size_bytes)
            return self.whole

    def _taken(self) -> int:
        """What it takes: a copy may be sparse."""
        try:
            return self._path.stat().st_blocks * 512
        except OSError:
            return 0

    def _make(self, size: int) -> None:
        """Take up so much room, or none: nothing fails for lack of a reserve."""
        self._path.unlink(missing_ok=True)
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, size)
            finally:
                os.close(descriptor)
        except OSError:
            self._path.unlink(missing_ok=True)


def _mib(size: int) -> str:
    return f"{max(1, -(-size // (1 << 20)))} MiB"


def _mount_of(path: Path) -> Path:
    there = next((part for part in (path, *path.parents) if part.exists()), Path("/"))
    while not there.is_mount():
        there = there.parent
    return there
