"""Runs in a guest: puts what it is sent in place below a directory, one batch after the other, until its input ends.

Argument: the directory. Input: batches of a length (u32) and so many bytes of steps; a step is STEP, a path and data.
`-` removes what is at a path, `d` makes a directory unless it is there, `f` is a file and its bytes, `l` a link and its
target; directories get their modes and times last. A batch is read whole before any of it is done.

Output, a line a batch: files that were written, their bytes, names that were removed; or `?` where something is in the
way, when a part may have been done. It never leaves the directory: no link is followed on the way. It ends with its
input, and by no signal that is said beside that: nothing half written stays.
"""

# The paths are bytes that pathlib cannot hold.
# ruff: noqa: PTH208

import os
import signal
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO

LENGTH = struct.Struct(">I")
STEP = struct.Struct(">cIqII")  # kind, mode, mtime in nanoseconds, lengths of path and data
REMOVE, DIRECTORY, FILE, LINK = b"-", b"d", b"f", b"l"
ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
IN_THE_WAY = "?"
ENDINGS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)

Step = tuple[bytes, int, int, bytes, bytes]
Parts = tuple[bytes, ...]


class Placement:
    """A directory while one batch is put into it: those on the way stay open."""

    def __init__(self, top: str, opened: ExitStack) -> None:
        self._opened = opened
        self._own = b".vertui-sync-%d" % os.getpid()
        self._open: dict[Parts, int] = {(): self._kept(os.open(top, ENTER & ~os.O_NOFOLLOW))}
        self._attributes: list[tuple[int, int, int]] = []
        self.files = self.size_bytes = self.removed = 0

    def put(self, kind: bytes, mode: int, mtime_ns: int, path: bytes, data: bytes) -> None:
        """One step; OSError where it cannot be done."""
        parts = _parts(path)
        if kind == DIRECTORY:
            self._attributes.append((self._made(parts), mode, mtime_ns))
        elif kind == REMOVE:
            with suppress(FileNotFoundError):
                self.removed += _remove(self._directory(parts[:-1]), parts[-1])
        elif kind == FILE:
            self._put_file(self._directory(parts[:-1]), parts[-1], mode, mtime_ns, data)
        else:
            self._put_link(self._directory(parts[:-1]), parts[-1], mtime_ns, data)

    def finish(self) -> None:
        """Modes and times of directories, which change by what is done in them."""
        for directory, mode, mtime_ns in self._attributes:
            os.fchmod(directory, mode)
            os.utime(directory, ns=(mtime_ns, mtime_ns))

    def _kept(self, descriptor: int) -> int:
        self._opened.callback(os.close, descriptor)
        return descriptor

    def _directory(self, parts: Parts) -> int:
        if parts not in self._open:
            above = self._directory(parts[:-1])
            self._open[parts] = self._kept(os.open(parts[-1], ENTER, dir_fd=above))
        return self._open[parts]

    def _made(self, parts: Parts) -> int:
        if parts:
            with suppress(FileExistsError):
                os.mkdir(parts[-1], 0o700, dir_fd=self._directory(parts[:-1]))
        return self._directory(parts)

    def _put_file(self, directory: int, name: bytes, mode: int, mtime_ns: int, data: bytes) -> None:
        if _stands_already(directory, name, len(data), mtime_ns, mode):
            return
        descriptor = os.open(self._own, WRITE, 0o600, dir_fd=directory)
        with _replacing(directory, self._own, name):
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                os.fchmod(descriptor, mode)
                os.utime(descriptor, ns=(mtime_ns, mtime_ns))
            finally:
                os.close(descriptor)
        self.files += 1
        self.size_bytes += len(data)

    def _put_link(self, directory: int, name: bytes, mtime_ns: int, target: bytes) -> None:
        os.symlink(target, self._own, dir_fd=directory)
        with _replacing(directory, self._own, name):
            os.utime(self._own, ns=(mtime_ns, mtime_ns), dir_fd=directory, follow_symlinks=False)


def _parts(path: bytes) -> Parts:
    """The names that a path is of, none for the top. OSError for one that would lead out."""
    parts = tuple(path.split(b"/")) if path else ()
    if any(part in (b"", b".", b"..") for part in parts):
        raise OSError("a path that leads elsewhere")
    return parts


def _stands_already(directory: int, name: bytes, size: int, mtime_ns: int, mode: int) -> bool:
    """Is a file of this size and time there? Then it only gets the mode."""
    try:
        found = os.open(name, READ, dir_fd=directory)
    except OSError:
        return False
    try:
        info = os.fstat(found)
        same = stat.S_ISREG(info.st_mode) and (info.st_size, info.st_mtime_ns) == (size, mtime_ns)
        if same:
            os.fchmod(found, mode)
        return same
    finally:
        os.close(found)


@contextmanager
def _replacing(directory: int, new: bytes, name: bytes) -> Iterator[None]:
    """What is made `new` in the body takes a name's place, or is taken away."""
    try:
        yield
        os.rename(new, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        os.unlink(new, dir_fd=directory)
        raise


def _remove(directory: int, name: bytes) -> int:
    """Take a name away, and all that is below it: how many that were."""
    try:
        os.unlink(name, dir_fd=directory)
        return 1
    except IsADirectoryError:
        inside = os.open(name, ENTER, dir_fd=directory)
    try:
        removed = sum(_remove(inside, os.fsencode(below)) for below in os.listdir(inside))
    finally:
        os.close(inside)
    os.rmdir(name, dir_fd=directory)
    return removed + 1


def steps(batch: bytes) -> Iterator[Step]:
    """What is in a batch; struct.error where that is none."""
    at = 0
    while at < len(batch):
        kind, mode, mtime_ns, path_bytes, data_bytes = STEP.unpack_from(batch, at)
        path_at = at + STEP.size
        at = path_at + path_bytes + data_bytes
        yield kind, mode, mtime_ns, batch[path_at : path_at + path_bytes], batch[path_at + path_bytes : at]


def put(top: str, batch: bytes) -> str:
    """Put a batch in place, and say what came of it."""
    try:
        with ExitStack() as opened:
            placed = Placement(top, opened)
            for step in steps(batch):
                placed.put(*step)
            placed.finish()
    except (OSError, RecursionError, struct.error):
        return IN_THE_WAY
    return f"{placed.files} {placed.size_bytes} {placed.removed}"


def main() -> None:
    """Until the input ends."""
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    source: BinaryIO = sys.stdin.buffer
    while len(head := source.read(LENGTH.size)) == LENGTH.size:
        (size,) = LENGTH.unpack(head)
        batch = source.read(size)
        if len(batch) < size:
            return
        print(put(sys.argv[1], batch), flush=True)


if __name__ == "__main__":
    main()
