"""The system calls the Python library lacks, and file access without its weight."""

from __future__ import annotations

import ctypes
import os
import signal
from functools import lru_cache
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)

_MS_BIND = 4096
_MNT_DETACH = 2
_PR_SET_PDEATHSIG = 1
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432  # x86-64 and every architecture since they came
_CLOEXEC = 1
_CMD_CREATE = 6

FOLDER = os.O_RDONLY | os.O_DIRECTORY


def bind_mount(source: str, target: str) -> None:
    """Bind a file over another name; OSError when either is missing."""
    _checked(_libc.mount(source.encode(), target.encode(), None, ctypes.c_ulong(_MS_BIND), None), target)


def bind_anew(source: str, target: str) -> None:
    """Bind a file over a name instead of what is mounted there: nothing can be mounted over a file that was removed."""
    _libc.umount2(target.encode(), _MNT_DETACH)
    bind_mount(source, target)


def mount_tmpfs(target: str) -> None:
    """Mount a small tmpfs; OSError when there is no such directory."""
    options = b"size=1m,mode=755"
    _checked(_libc.mount(b"tmpfs", target.encode(), b"tmpfs", ctypes.c_ulong(0), options), target)


def open_filesystem(kind: str) -> int:
    """The top directory of a kernel's own filesystem (`proc`, `cgroup2`), mounted where no path leads.

    What the guest unmounts, covers or mounts anew changes nothing about it. OSError when it cannot be had.
    """
    context = _checked(_libc.syscall(_FSOPEN, kind.encode(), _CLOEXEC), kind)
    try:
        _checked(_libc.syscall(_FSCONFIG, context, _CMD_CREATE, None, None, 0), kind)
        mount = _checked(_libc.syscall(_FSMOUNT, context, _CLOEXEC, 0), kind)
    finally:
        os.close(context)
    return os.open(".", FOLDER, dir_fd=mount)  # `mount` stays open: the filesystem goes when it is closed


@lru_cache(maxsize=1)
def _proc() -> int:
    """A /proc of the agent's own; the guest's where there can be none."""
    try:
        return open_filesystem("proc")
    except OSError:
        return os.open("/proc", FOLDER)


def open_proc(name: str, flags: int) -> int:
    """A file of /proc, whatever the guest has mounted there."""
    return os.open(name, flags, dir_fd=_proc())


def read_proc(name: str, limit: int = 64 * 1024) -> bytes:
    """The first `limit` bytes of a file of /proc, whatever the guest has mounted there."""
    return read_file(name, limit, _proc())


def read_whole_proc(name: str) -> bytes:
    """A whole file of /proc, likewise."""
    return read_whole(name, _proc())


def processes_of_proc() -> list[int]:
    """The numbers of all processes, in order."""
    return sorted(int(name) for name in os.listdir(_proc()) if name.isdecimal())


def owner(pid: int) -> int:
    """The user a process runs as."""
    return os.stat(str(pid), dir_fd=_proc()).st_uid


def sync_filesystem(fd: int) -> None:
    """Write out the one filesystem `fd` lies on (syncfs(2))."""
    _checked(_libc.syncfs(fd), "syncfs")


def end_with_parent() -> None:
    """Have this process killed when its parent ends."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def _checked(result: int, what: str) -> Any:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def read_file(path: str, limit: int = 64 * 1024, folder: int | None = None) -> bytes:
    """The first `limit` bytes of a file, in one read as /proc wants it."""
    fd = os.open(path, os.O_RDONLY, dir_fd=folder)
    try:
        return os.read(fd, limit)
    finally:
        os.close(fd)


def read_whole(path: str, folder: int | None = None) -> bytes:
    """A whole file, however many reads the kernel hands it out in."""
    fd = os.open(path, os.O_RDONLY, dir_fd=folder)
    try:
        return read_again(fd)
    finally:
        os.close(fd)


def read_again(fd: int) -> bytes:
    """A whole file that is kept open, as it is now."""
    os.lseek(fd, 0, os.SEEK_SET)
    return b"".join(iter(lambda: os.read(fd, 64 * 1024), b""))


def names_in(path: str, folder: int) -> list[str]:
    """What a directory holds."""
    fd = os.open(path, FOLDER, dir_fd=folder)
    try:
        return [*os.listdir(fd)]  # noqa: PTH208
    finally:
        os.close(fd)


def tell_kernel(name: str, data: bytes, folder: int) -> None:
    """Write to a file that the kernel keeps in a directory, such as a cgroup's; FileNotFoundError when it is gone."""
    fd = os.open(name, os.O_WRONLY, dir_fd=folder)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
