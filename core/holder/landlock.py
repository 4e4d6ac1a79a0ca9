"""Landlock: a process gives up, for itself and for all it starts, every file that no rule of its own grants.

Also TCP, signals to processes outside, and their abstract sockets, as far as the kernel knows how; and nobody outside
can be traced or looked into by /proc. Sources: Linux Documentation/userspace-api/landlock.rst, linux/landlock.h.
"""

import contextlib
import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable

from core.linux import checked, libc

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the calls' numbers, the same on every architecture
VERSION_FLAG, PATH_BENEATH = 1, 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, IOCTL_DEV = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 15
READ = READ_FILE | READ_DIR
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | IOCTL_DEV  # what a rule for anything but a directory may grant
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights to files there are, by the version that brought the last of them."""
TCP_SINCE, TCP = 4, 0b11
SCOPES_SINCE, SCOPES = 6, 0b11
RULESET, RULE = struct.Struct("=3Q"), struct.Struct("=Qi")

Grant = tuple[str | int, int]
"""A path, or a descriptor, and the rights to it and to what lies beneath."""


def version() -> int:
    """The kernel's; 0 where Landlock is not there, or was not switched on."""
    return max(0, int(libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_FLAG)))


def restrict(known: int, grants: Iterable[Grant]) -> None:
    """Leave this process these grants alone, by a kernel of version `known`, which is not 0. A path that is not there
    grants nothing. no_new_privs has to be set. OSError.
    """
    rights = (1 << max(count for since, count in FILE_RIGHTS.items() if since <= known)) - 1
    handled = RULESET.pack(rights, TCP if known >= TCP_SINCE else 0, SCOPES if known >= SCOPES_SINCE else 0)
    ruleset = _call(CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    try:
        for what, wanted in grants:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                _grant(ruleset, what, wanted & rights)
        _call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _grant(ruleset: int, what: str | int, rights: int) -> None:
    descriptor = os.open(what, os.O_PATH | os.O_CLOEXEC) if isinstance(what, str) else what
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= OF_FILES
        _call(ADD_RULE, ruleset, PATH_BENEATH, RULE.pack(rights, descriptor), 0)
    except OSError as error:
        if (
            error.errno != errno.EBADFD
        ):  # of a kind that no path leads to, and no rule is asked about: a memory file
            raise
    finally:
        if isinstance(what, str):
            os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    return checked(int(libc.syscall(number, *arguments)), "landlock")
