"""ext4 inode records as a numpy structured array, checked by their checksums."""

import numpy as np
from numpy.typing import NDArray

from core.diff.crc32c import Checksums, crc32c
from core.diff.flags import REFUSED_FLAGS
from core.disk.blocks import Blocks, Bytes
from core.errors import Damaged

Records = NDArray[np.void]
"""Inode records, dtype from `record_type`."""

INDEXED = 0x1000
EXTENTS = 0x80000

ROOT_INODE = 2
_FIRST_ORDINARY = 11

TYPE_MASK = 0o170000
DIRECTORY = 0o040000
REGULAR = 0o100000
SYMLINK = 0o120000

_FIELDS: list[tuple[str, str, int]] = [
    ("mode", "<u2", 0),
    ("uid_low", "<u2", 2),
    ("size_low", "<u4", 4),
    ("mtime", "<i4", 16),
    ("gid_low", "<u2", 24),
    ("links", "<u2", 26),
    ("flags", "<u4", 32),
    ("root", "(60,)u1", 40),
    ("generation", "<u4", 100),
    ("acl_low", "<u4", 104),
    ("size_high", "<u4", 108),
    ("acl_high", "<u2", 118),
    ("uid_high", "<u2", 120),
    ("gid_high", "<u2", 122),
    ("checksum_low", "<u2", 124),
    ("extra_bytes", "<u2", 128),
    ("checksum_high", "<u2", 130),
    ("mtime_extra", "<u4", 136),
    ("birth", "<u4", 144),
    ("project", "<u4", 156),
]


def record_type(inode_bytes: int) -> np.dtype[np.void]:
    """The dtype of an inode record of that size (256 or more)."""
    names, formats, offsets = zip(*_FIELDS, strict=True)
    return np.dtype(
        {"names": list(names), "formats": list(formats), "offsets": list(offsets), "itemsize": inode_bytes}
    )


def in_use(records: Records) -> NDArray[np.bool_]:
    """Which records are of living files: deleted ones have no links, never used ones no mode."""
    return np.asarray((records["mode"] != 0) & (records["links"] != 0))


def is_reserved(numbers: Blocks) -> NDArray[np.bool_]:
    """Which inodes are the filesystem's own (journal, resizing, quotas): never named by a directory."""
    return np.asarray((numbers < _FIRST_ORDINARY) & (numbers != ROOT_INODE))


def inode_seeds(seed: int, numbers: Blocks, records: Records) -> Checksums:
    """Where the checksums of an inode and of its extent and directory blocks start from."""
    words = np.stack([numbers.astype("<u4"), records["generation"].astype("<u4")], axis=1)
    return crc32c(seed, words.view(np.uint8))


def check_records(disk: str, seed: int | None, numbers: Blocks, records: Records) -> None:
    """Damaged if a record fails its checksum or cannot be what it says; Unsupported flags are refused too."""
    if seed is not None and len(records):
        _check_sums(disk, seed, numbers, records)
    bad = (records["size_high"] >> 31 != 0) | (records["extra_bytes"] > records.dtype.itemsize - 128)
    bad |= (records["flags"] & REFUSED_FLAGS) != 0
    if bad.any():
        raise Damaged(f"disk {disk}: inode {numbers[bad][0]} is impossible or of a kind vertui cannot read")


def record_bytes(records: Records) -> Bytes:
    """The same memory as rows of bytes: numpy may drop what lies between fields when it copies records."""
    return records.view(np.uint8).reshape(len(records), records.dtype.itemsize)


def _check_sums(disk: str, seed: int, numbers: Blocks, records: Records) -> None:
    rows = record_bytes(records).copy()
    wide = records["extra_bytes"] >= 4
    rows[:, 124:126] = 0
    rows[wide, 130:132] = 0
    found = crc32c(inode_seeds(seed, numbers, records), rows)
    stored = records["checksum_low"].astype(np.uint32)
    stored |= np.where(wide, records["checksum_high"], found >> 16).astype(np.uint32) << 16
    if (found != stored).any():
        raise Damaged(f"disk {disk}: inode {numbers[found != stored][0]} fails its checksum")
