"""What is known of one file besides its name and its bytes. Clients know the types, too: numpy is not loaded for it."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from core.diff.flags import SHOWN_MASK

if TYPE_CHECKING:
    import numpy as np

Xattrs = tuple[tuple[bytes, bytes], ...]
"""Pairs of full name (as in `user.note`) and value, ordered by name."""


class FileType(StrEnum):
    """The types a directory entry can have."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    CHARACTER_DEVICE = "character device"
    BLOCK_DEVICE = "block device"
    FIFO = "fifo"
    SOCKET = "socket"


FILE_TYPES = {
    0o100000: FileType.FILE,
    0o040000: FileType.DIRECTORY,
    0o120000: FileType.SYMLINK,
    0o020000: FileType.CHARACTER_DEVICE,
    0o060000: FileType.BLOCK_DEVICE,
    0o010000: FileType.FIFO,
    0o140000: FileType.SOCKET,
}


@dataclass(frozen=True, slots=True)
class Meta:
    """One inode: what `stat`, `readlink` and `getfattr` tell of it inside the machine."""

    type: FileType
    mode: int
    """Permission bits with setuid, setgid and sticky: 12 bits."""
    uid: int
    gid: int
    size: int
    """In bytes; 0 for a directory, whose size on disk says nothing of what is in it."""
    mtime_ns: int
    links: int
    inode: int
    birth: tuple[int, int]
    """Generation and time of creation: tells an inode from a later file that reuses its number."""
    target: bytes | None = None
    """Where a symlink points."""
    device: tuple[int, int] | None = None
    """Major and minor number of a device node."""
    xattrs: Xattrs = ()
    flags: int = 0
    """Those of SHOWN_FLAGS that are set."""
    project: int = 0

    @classmethod
    def of(cls, inode: int, record: np.void, target: bytes | None, xattrs: Xattrs) -> Self:
        """From a checked inode record, whose type must be one of FILE_TYPES."""
        kind = FILE_TYPES[stat.S_IFMT(int(record["mode"]))]
        is_device = kind in (FileType.CHARACTER_DEVICE, FileType.BLOCK_DEVICE)
        return cls(
            type=kind,
            mode=int(record["mode"]) & 0o7777,
            uid=int(record["uid_low"]) | int(record["uid_high"]) << 16,
            gid=int(record["gid_low"]) | int(record["gid_high"]) << 16,
            size=0 if kind is FileType.DIRECTORY else record_size(record),
            mtime_ns=_mtime_ns(record),
            links=int(record["links"]),
            inode=inode,
            birth=(int(record["generation"]), int(record["birth"])),
            target=target,
            device=_device(record["root"].tobytes()) if is_device else None,
            xattrs=xattrs,
            flags=int(record["flags"]) & SHOWN_MASK,
            project=int(record["project"]) if record["extra_bytes"] >= 32 else 0,
        )


def record_size(record: np.void) -> int:
    """An inode's length in bytes."""
    return int(record["size_low"]) | int(record["size_high"]) << 32


def _mtime_ns(record: np.void) -> int:
    """The extra word holds two more bits of seconds and the nanoseconds, where the inode has room for it."""
    extra = int(record["mtime_extra"]) if record["extra_bytes"] >= 12 else 0
    return (int(record["mtime"]) + ((extra & 3) << 32)) * 1_000_000_000 + (extra >> 2)


def _device(root: bytes) -> tuple[int, int]:
    """Device numbers stand in the first word (old, 8+8 bits) or the second (12+20 bits)."""
    old, new = (int.from_bytes(root[start : start + 4], "little") for start in (0, 4))
    if old:
        return old >> 8 & 0xFF, old & 0xFF
    return new >> 8 & 0xFFF, new & 0xFF | new >> 12 & 0xFFF00
