"""Everything `stat` would say of inodes, and where symlinks point."""

import numpy as np

from core.diff.ext4 import FAST_SYMLINK_BYTES, Inodes, Volume
from core.diff.inodes import SYMLINK, TYPE_MASK
from core.diff.meta import Meta, record_size
from core.diff.xattrs import read_xattrs
from core.errors import Damaged
from core.progress import Told, along, nobody


def read_metas(volume: Volume, inodes: Inodes, told: Told = nobody) -> dict[int, Meta]:
    """What there is to know of each of `inodes`, targets and attributes included."""
    found = {}
    parts = zip(inodes.numbers.tolist(), inodes.records, read_xattrs(volume, inodes), strict=True)
    for (inode, record, attributes), _ in zip(parts, along(inodes.numbers, told), strict=True):
        target = _target(volume, inodes, inode, record) if record["mode"] & TYPE_MASK == SYMLINK else None
        found[inode] = Meta.of(inode, record, target, attributes)
    return found


def _target(volume: Volume, inodes: Inodes, inode: int, record: np.void) -> bytes:
    size = record_size(record)
    if size < FAST_SYMLINK_BYTES:
        return bytes(record["root"][:size])
    extents = inodes.extents.of(inode)
    if size > volume.block_bytes or not len(extents.physical) or extents.logical[0]:
        raise Damaged(f"disk {volume.disk.name}: symlink inode {inode} has no readable target")
    return bytes(volume.blocks(extents.physical[:1])[0, :size])
