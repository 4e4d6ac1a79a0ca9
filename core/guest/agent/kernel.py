"""The one system call the Python library lacks, and file access without its weight."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

_MS_BIND = 4096


def bind_mount(source: str, target: str) -> None:
    """Bind a file over another name; OSError when either is missing."""
    if _libc.mount(source.encode(), target.encode(), None, ctypes.c_ulong(_MS_BIND), None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def read_file(path: str, limit: int = 64 * 1024) -> bytes:
    """The first `limit` bytes of a file, in one read as /proc wants it."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, limit)
    finally:
        os.close(fd)


def write_file(path: str, data: bytes, mode: int = 0o644) -> None:
    """Write a file in place, so that watchers and bind mounts keep their inode; made with `mode` when missing."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
