"""Base images: immutable guest RAM that every machine of an image maps privately.

A base is a memfd sealed against writing, growing and shrinking, kept by the holder, so that all machines share one
copy of what none of them has written.
"""

import fcntl
import mmap
import os
from dataclasses import dataclass

import numpy as np

from core.errors import NoRoom
from core.machine.memory import Pages, Table
from core.model import PAGE_BYTES

SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


@dataclass(frozen=True)
class Base:
    """An open base image; the descriptor is the owner's to close."""

    descriptor: int
    inode: int
    size_bytes: int


def opened(descriptor: int) -> Base:
    """The base behind a descriptor."""
    facts = os.fstat(descriptor)
    return Base(descriptor, facts.st_ino, facts.st_size)


def empty(size_bytes: int) -> Base:
    """All zero: what a machine boots on."""
    return filled(size_bytes, np.empty(0, np.uint32), np.empty((0, PAGE_BYTES), np.uint8))


def filled(size_bytes: int, pages: Pages, table: Table) -> Base:
    """A base with contents of shape (n, 4096) at `pages`, zero elsewhere. NoRoom when memory does not suffice."""
    descriptor = os.memfd_create("vertui-base", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, size_bytes)
        if len(pages):
            with mmap.mmap(descriptor, size_bytes) as room:
                whole = np.frombuffer(room, np.uint8).reshape(-1, PAGE_BYTES)
                whole[pages] = table
                del whole
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
    except OSError as error:
        os.close(descriptor)
        raise NoRoom(f"cannot hold {size_bytes >> 20} MiB of guest memory: {error.strerror}") from error
    return opened(descriptor)
