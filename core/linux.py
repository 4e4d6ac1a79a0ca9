"""System calls Python 3.11 has no name for, by ctypes. Sources: unshare(2), prctl(2), process_vm_readv(2)."""

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
PR_SET_THP_DISABLE = 41

libc = ctypes.CDLL(None, use_errno=True)
libc.process_vm_readv.restype = libc.process_vm_writev.restype = ctypes.c_ssize_t


def checked(result: int, what: str) -> int:
    """`result`, or the OSError that errno names when it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Move this process (this thread, for the network) into new namespaces."""
    checked(libc.unshare(flags), "unshare")


def without_huge_pages() -> None:
    """Keep this process and what it executes from transparent huge pages: a machine that touches 4 KiB takes 4 KiB."""
    checked(libc.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), "prctl")


def die_with_parent(signal: int) -> None:
    """Be sent `signal` when the parent ends; the caller checks that it has not ended already."""
    checked(libc.prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0), "prctl")
