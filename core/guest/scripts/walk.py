"""Runs in a guest: tells of every file on a filesystem, one line of JSON each, paths in hexadecimal.

Arguments: the paths to walk, each with what is below it on its own filesystem; the root directory without any.
With --texts before them the content of smaller files is told, too, until that is much in all.
"""

# The paths are bytes that pathlib cannot hold.
# ruff: noqa: PTH115, PTH123

import fcntl
import hashlib
import json
import os
import stat
import sys
from errno import ELOOP, ENODATA, ENOENT, ENOTDIR, ENXIO, EWOULDBLOCK
from typing import BinaryIO, TypedDict

BLOCK_BYTES = 1 << 16
TEXT_BYTES, ALL_TEXTS_BYTES = 1 << 20, 64 << 20
CHANGED = (ENOENT, ENOTDIR, ELOOP, ENXIO, ENODATA, EWOULDBLOCK)
"""What is no longer as it was when its directory was read: gone, of another kind, without an attribute, leased."""

GET_FLAGS, GET_MORE = 0x80086601, 0x801C581F


def walk(top: bytes, room: int) -> int:
    """Print `top`, if there is one, and what is below it on the same filesystem, with at most `room` bytes of content;
    the room that is left."""
    waiting = [top]
    device = None
    while waiting:
        path = waiting.pop()
        try:
            info = os.lstat(path)
            device = info.st_dev if device is None else device
            if info.st_dev != device:
                continue
            told = describe(path, info)
            if stat.S_ISREG(info.st_mode) and info.st_size <= min(room, TEXT_BYTES):
                with opened(path) as file:
                    content = file.read(TEXT_BYTES)
                told["text"], told["size"] = content.hex(), len(content)
                room -= len(content)
            print(json.dumps(told))
            if stat.S_ISDIR(info.st_mode):
                with os.scandir(path) as entries:
                    waiting.extend(entry.path for entry in entries)
        except OSError as error:
            if error.errno not in CHANGED:
                raise
    return room


def opened(path: bytes) -> BinaryIO:
    """A regular file, or whatever has come in its place."""
    return open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb", buffering=0)


class Description(TypedDict, total=False):
    """A line: what `Meta` holds, a digest of the content, and the content itself if it was asked for."""

    path: str
    kind: int
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    links: int
    inode: int
    target: str | None
    device: tuple[int, int] | None
    xattrs: list[list[str]]
    flags: int
    project: int
    digest: str
    text: str


def describe(path: bytes, info: os.stat_result) -> Description:
    """What `Meta` holds, and a digest of the content."""
    kind = stat.S_IFMT(info.st_mode)
    flags, project = beyond_stat(path) if kind in (stat.S_IFREG, stat.S_IFDIR) else (0, 0)
    return {
        "path": path.hex(),
        "kind": kind,
        "mode": stat.S_IMODE(info.st_mode),
        "uid": info.st_uid,
        "gid": info.st_gid,
        "size": 0 if kind == stat.S_IFDIR else info.st_size,
        "mtime_ns": info.st_mtime_ns,
        "links": info.st_nlink,
        "inode": info.st_ino,
        "target": os.readlink(path).hex() if kind == stat.S_IFLNK else None,
        "device": (os.major(info.st_rdev), os.minor(info.st_rdev))
        if kind in (stat.S_IFCHR, stat.S_IFBLK)
        else None,
        "xattrs": attributes(path),
        "flags": flags,
        "project": project,
        "digest": digest(path) if kind == stat.S_IFREG else "",
    }


def beyond_stat(path: bytes) -> tuple[int, int]:
    """Flags as lsattr tells them, and the project id; 0 where the filesystem has none (ioctl_iflags(2))."""
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        flags, more = asked(file, GET_FLAGS, 4), asked(file, GET_MORE, 28)
    finally:
        os.close(file)
    return int.from_bytes(flags, "little"), int.from_bytes(more[12:16], "little")


def asked(file: int, request: int, size: int) -> bytes:
    """What an ioctl fills in; zeros where there is none."""
    try:
        return fcntl.ioctl(file, request, bytes(size))
    except OSError:
        return bytes(size)


def attributes(path: bytes) -> list[list[str]]:
    """Pairs of name and value."""
    names = sorted(map(os.fsencode, os.listxattr(path, follow_symlinks=False)))
    return [[name.hex(), os.getxattr(path, name, follow_symlinks=False).hex()] for name in names]


def digest(path: bytes) -> str:
    """Of the content: where something stands, and what; zeros count as holes do."""
    hasher = hashlib.blake2b(digest_size=16)
    with opened(path) as file:
        at = 0
        while (at := next_data(file.fileno(), at)) >= 0 and (
            block := os.pread(file.fileno(), BLOCK_BYTES, at)
        ):
            if data := block.rstrip(b"\0"):
                hasher.update(at.to_bytes(8, "little") + len(data).to_bytes(4, "little") + data)
            at += BLOCK_BYTES
    return hasher.hexdigest()


def next_data(file: int, at: int) -> int:
    """The first block at or behind `at` that is no hole; -1 behind the last: a sparse file costs what is stored."""
    try:
        return os.lseek(file, at, os.SEEK_DATA) // BLOCK_BYTES * BLOCK_BYTES
    except OSError:
        return -1


if __name__ == "__main__":
    os.sync()
    texts = sys.argv[1:2] == ["--texts"]
    left = ALL_TEXTS_BYTES if texts else -1
    for each in sys.argv[1 + texts :] or ["/"]:
        left = walk(os.fsencode(each), left)
    sys.stdout.flush()
