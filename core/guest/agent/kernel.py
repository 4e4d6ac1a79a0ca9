"""System calls the Python library lacks, and file access without its weight.

`PyDLL` keeps the interpreter lock across a call, so the child of `clone_into` wakes as a consistent interpreter.
"""

from __future__ import annotations

import ctypes
import os
import struct
from signal import SIGCHLD

_libc = ctypes.PyDLL(None, use_errno=True)

_SYS_CLONE3 = 435
_CLONE_PIDFD = 0x1000
_CLONE_VFORK = 0x4000
_CLONE_INTO_CGROUP = 0x2_0000_0000
_CLONE_ARGS = struct.Struct("<11Q")

_MS_BIND = 4096


def clone_into(cgroup_fd: int) -> tuple[int, int]:
    """Fork into a cgroup; returns (pid, pidfd), in the child (0, -1). OSError as fork.

    Born in its cgroup, the child needs no migration, which would wait for an RCU grace period. The parent sleeps
    until the child has called exec or ended (VFORK, but without sharing memory), so the two never compete for the
    pages they still share.
    """
    pidfd = ctypes.c_int(-1)
    flags = _CLONE_PIDFD | _CLONE_VFORK | _CLONE_INTO_CGROUP
    args = _CLONE_ARGS.pack(flags, ctypes.addressof(pidfd), 0, 0, SIGCHLD, 0, 0, 0, 0, 0, cgroup_fd)
    pid = _libc.syscall(_SYS_CLONE3, args, len(args))
    if pid < 0:
        raise _last_error("clone3")
    return pid, pidfd.value


def bind_mount(source: str, target: str) -> None:
    """Bind a file over another name; OSError when either is missing."""
    if _libc.mount(source.encode(), target.encode(), None, ctypes.c_ulong(_MS_BIND), None) != 0:
        raise _last_error(target)


def _last_error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), what)


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
