"""Base images: immutable guest RAM that every machine of an image maps privately.

A base is a commit's memory view (`core.store.views`), so that all machines share one copy of what none of them has
written, and only what some touched is ever read; or, while an image boots, an empty memfd sealed against writing.
"""

import fcntl
import os
from dataclasses import dataclass

from core.errors import NoRoom
from core.files import memory_file

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
    """All zero: what a machine boots on. NoRoom when memory does not suffice."""
    descriptor = memory_file("vertui-base", os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, size_bytes)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
    except OSError as error:
        os.close(descriptor)
        raise NoRoom(f"cannot hold {size_bytes >> 20} MiB of guest memory: {error.strerror}") from error
    return opened(descriptor)
