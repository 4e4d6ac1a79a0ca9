"""Runs in a guest: tells of every file on the root filesystem, one line of JSON each, paths in hexadecimal.

Arguments: the paths to walk; the root directory without any.
"""

# The paths are bytes that pathlib cannot hold.
# ruff: noqa: PTH115, PTH123

import hashlib
import json
import os
import stat
import sys
from typing import Any

BLOCK_BYTES = 1 << 20


def walk(top: bytes, device: int) -> None:
    """Print `top` and what is below it on the same filesystem."""
    waiting = [top]
    while waiting:
        path = waiting.pop()
        try:
            info = os.lstat(path)
            if info.st_dev != device:
                continue
            print(json.dumps(describe(path, info)))
            if stat.S_ISDIR(info.st_mode):
                with os.scandir(path) as entries:
                    waiting.extend(entry.path for entry in entries)
        except FileNotFoundError:  # gone since its directory was read
            continue


def describe(path: bytes, info: os.stat_result) -> dict[str, Any]:
    """What `Meta` holds, and a digest of the content."""
    kind = stat.S_IFMT(info.st_mode)
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
        "device": [os.major(info.st_rdev), os.minor(info.st_rdev)]
        if kind in (stat.S_IFCHR, stat.S_IFBLK)
        else None,
        "xattrs": attributes(path),
        "digest": digest(path) if kind == stat.S_IFREG else "",
    }


def attributes(path: bytes) -> list[list[str]]:
    """Pairs of name and value."""
    names = sorted(map(os.fsencode, os.listxattr(path, follow_symlinks=False)))
    return [[name.hex(), os.getxattr(path, name, follow_symlinks=False).hex()] for name in names]


def digest(path: bytes) -> str:
    """Of the content."""
    hasher = hashlib.blake2b(digest_size=16)
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb", buffering=0) as file:
        while block := file.read(BLOCK_BYTES):
            hasher.update(block)
    return hasher.hexdigest()


if __name__ == "__main__":
    os.sync()
    for top in sys.argv[1:] or ["/"]:
        walk(os.fsencode(top), os.lstat("/").st_dev)
    sys.stdout.flush()
