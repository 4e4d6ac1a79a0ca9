"""A file or tree of this machine as a tar stream for a guest: owned by root, nothing but files, links, directories."""

# The paths are bytes that pathlib cannot hold.
# ruff: noqa: PTH112, PTH115, PTH208

import errno
import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from core.errors import NotFound, VertuiError
from core.names import spelled
from core.tar import END, PIECE_BYTES, Run, gnu_header, padding
from vertui.unpack import Unpacked

FILE_NAME = "file"  # what a single file is called on its way; the receiving side names it
_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
}
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Writable(Protocol):
    """What a tar stream is written to."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`."""


def pack(source: Path, target: Writable) -> Unpacked:
    """Write `source` to `target`: a directory's contents under `.`, a file as FILE_NAME.

    Raises NotFound or VertuiError naming what cannot be read. Devices and sockets are skipped, and named.
    """
    try:
        real = os.fsencode(source.resolve(strict=True))
        packer = _Packer(target)
        packer.walk(real, b"." if os.path.isdir(real) else FILE_NAME.encode())
        target.write(END)
    except FileNotFoundError as error:
        raise NotFound(f"there is no {_named(error, source)}") from error
    except OSError as error:
        raise VertuiError(f"cannot read {_named(error, source)}: {error.strerror or error}") from error
    return packer.result


class _Packer:
    def __init__(self, target: Writable) -> None:
        self.result = Unpacked()
        self._target = target
        self._names: dict[tuple[int, int], bytes] = {}

    def walk(self, top: bytes, name: bytes) -> None:
        """Send a file, or a directory and what is in it."""
        waiting = [(top, name)]
        while waiting:
            path, name = waiting.pop()
            if not self._send(path, name):
                continue
            below = sorted(os.listdir(path), reverse=True)
            waiting.extend((path + b"/" + entry, name + b"/" + entry) for entry in below)

    def _send(self, path: bytes, name: bytes) -> bool:
        """Send one entry; whether it is a directory."""
        info = os.lstat(path)
        member = tarfile.TarInfo(os.fsdecode(name))
        member.mode, member.mtime, member.uname, member.gname = (
            info.st_mode & 0o7777,
            int(info.st_mtime),
            "root",
            "root",
        )
        kind = _TYPES.get(stat.S_IFMT(info.st_mode))
        if kind is None:
            self.result.skipped.append(name)
            return False
        member.type = kind
        if kind == tarfile.DIRTYPE:
            self._target.write(gnu_header(member))
            return True
        first = self._names.setdefault((info.st_dev, info.st_ino), name) if info.st_nlink > 1 else name
        self.result.files += 1
        if first != name:
            member.type, member.linkname = tarfile.LNKTYPE, os.fsdecode(first)
        elif kind == tarfile.SYMTYPE:
            member.linkname = os.fsdecode(os.readlink(path))
        else:
            self._send_file(path, member)
            return False
        self._target.write(gnu_header(member))
        return False

    def _send_file(self, path: bytes, member: tarfile.TarInfo) -> None:
        with _opened(path) as descriptor:
            member.size = os.fstat(descriptor).st_size
            runs = _runs(descriptor, member.size)
            self._target.write(gnu_header(member, runs))
            for offset, length in runs:
                self._send_run(descriptor, path, offset, offset + length)
        stored = sum(length for _, length in runs)
        self._target.write(padding(stored))
        self.result.size_bytes += stored

    def _send_run(self, descriptor: int, path: bytes, offset: int, end: int) -> None:
        while offset < end:
            piece = os.pread(descriptor, min(PIECE_BYTES, end - offset), offset)
            if not piece:
                raise OSError(errno.EIO, "it became shorter while it was read", path)
            self._target.write(piece)
            offset += len(piece)


@contextmanager
def _opened(path: bytes) -> Iterator[int]:
    descriptor = os.open(path, _OPEN)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no file any more", path)
        yield descriptor
    finally:
        os.close(descriptor)


def _runs(descriptor: int, size: int) -> list[Run]:
    """Where a file has data; a filesystem that does not tell has it everywhere."""
    found: list[Run] = []
    at = 0
    while at < size:
        try:
            start = os.lseek(descriptor, at, os.SEEK_DATA)
            at = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return found
            return [(0, size)]
        found.append((start, at - start))
    return found


def _named(error: OSError, source: Path) -> str:
    return spelled(os.fsencode(error.filename or source))
