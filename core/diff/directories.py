"""ext4 directories: names and the inodes they stand for.

Indexed (htree) directories are read as the lists their leaf blocks are; their index blocks hold no names.
"""

from struct import Struct

import numpy as np
from numpy.typing import NDArray

from core.diff.crc32c import crc32c
from core.diff.ext4 import Inodes, Volume
from core.diff.inodes import INDEXED, inode_seeds
from core.disk.blocks import Blocks, Bytes
from core.errors import Damaged

Names = dict[bytes, int]
"""The entries of one directory, `.` and `..` left out."""

_ENTRY = Struct("<IHBB")
_TAIL_BYTES = 12
_TAIL = np.frombuffer(
    b"\0\0\0\0\x0c\0\0\xde", dtype=np.uint8
)  # an unused entry of type 0xDE, then the checksum
_BATCH_BLOCKS = 2048  # directory blocks held at a time: 8 MiB


def read_names(volume: Volume, inodes: Inodes) -> dict[int, Names]:
    """The entries of every directory among `inodes`. On a torn disk blocks that are not whole are left out."""
    found: dict[int, Names] = {inode: {} for inode in inodes.directories.tolist()}
    owners, positions, blocks = _blocks_of(volume, inodes)
    for first in range(0, len(blocks), _BATCH_BLOCKS):
        batch = slice(first, first + _BATCH_BLOCKS)
        rows = volume.blocks(blocks[batch])
        leaves = ~_are_index(inodes, owners[batch], positions[batch], rows)
        holders, rows = owners[batch][leaves], rows[leaves]
        whole = _sums_match(volume, inodes, holders, rows)
        if not (volume.torn or whole.all()):
            raise Damaged(f"disk {volume.disk.name}: directory inode {holders[~whole][0]} fails its checksum")
        for inode, row in zip(holders[whole].tolist(), rows[whole], strict=True):
            _add_block(volume, inode, row.tobytes(), found[inode])
    for names in found.values():
        names.pop(b".", None)
        names.pop(b"..", None)
    return found


def _blocks_of(volume: Volume, inodes: Inodes) -> tuple[Blocks, Blocks, Blocks]:
    """Owner, position in the directory and number of each directory block."""
    extents = inodes.extents
    chosen = np.isin(extents.inode, inodes.directories)
    length = extents.length[chosen]
    step = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    owners = np.repeat(extents.inode[chosen], length)
    positions = np.repeat(extents.logical[chosen], length) + step
    blocks = np.repeat(extents.physical[chosen], length) + step
    rows = np.searchsorted(inodes.numbers, owners)
    wanted = inodes.records["size_low"].astype(np.int64) // volume.block_bytes
    inside = positions < wanted[rows]
    counts = np.bincount(rows[inside], minlength=len(inodes.numbers))
    at = np.searchsorted(inodes.numbers, inodes.directories)
    holed = (counts[at] != wanted[at]) | (wanted[at] == 0)
    if holed.any() and not volume.torn:
        raise Damaged(f"disk {volume.disk.name}: directory inode {inodes.directories[holed][0]} has a hole")
    return owners[inside], positions[inside], blocks[inside]


def _are_index(inodes: Inodes, owners: Blocks, positions: Blocks, rows: Bytes) -> NDArray[np.bool_]:
    """Which blocks of indexed directories are of the index: the first, and those that are one unused entry."""
    records = inodes.records[np.searchsorted(inodes.numbers, owners)]
    whole = np.frombuffer(_ENTRY.pack(0, rows.shape[1], 0, 0)[:6], dtype=np.uint8)
    unused = (rows[:, :6] == whole).all(axis=1)
    return np.asarray(((records["flags"] & INDEXED) != 0) & ((positions == 0) | unused))


def _sums_match(volume: Volume, inodes: Inodes, owners: Blocks, rows: Bytes) -> NDArray[np.bool_]:
    """Which blocks of directories are what their checksums say; all, where there are none."""
    seed = volume.superblock.checksum_seed
    if seed is None or not len(owners):
        return np.ones(len(owners), dtype=bool)
    seeds = inode_seeds(seed, owners, inodes.records[np.searchsorted(inodes.numbers, owners)])
    stored = np.ascontiguousarray(rows[:, -4:]).view("<u4").reshape(-1)
    good = crc32c(seeds, rows[:, :-_TAIL_BYTES]) == stored
    return np.asarray(good & (rows[:, -_TAIL_BYTES:-4] == _TAIL).all(axis=1))


def _add_block(volume: Volume, inode: int, block: bytes, names: Names) -> None:
    """Add the entries of one block of directory `inode`, `.` and `..` too, to `names`. Damaged if it is malformed, or
    has a name again; of a torn disk's that is left out.
    """
    try:
        entries = _parse_block(volume.disk.name, inode, block)
    except Damaged:
        if not volume.torn:
            raise
        return
    if not (volume.torn or names.keys().isdisjoint(entries)):
        raise _damaged(volume.disk.name, inode)
    for name, target in entries.items():
        names.setdefault(name, target)


def _parse_block(disk: str, inode: int, block: bytes) -> Names:
    """The entries of one block of directory `inode`, `.` and `..` too; Damaged if it is malformed, or has a name that
    is a path.
    """
    names: Names = {}
    position, end, unpack = 0, len(block), _ENTRY.unpack_from
    while position < end:
        if end - position < 8:
            raise _damaged(disk, inode)
        target, length, name_length, _ = unpack(block, position)
        if length < 8 + name_length or length & 3 or position + length > end:
            raise _damaged(disk, inode)
        if target:
            name = block[position + 8 : position + 8 + name_length]
            if name in names or not name:
                raise _damaged(disk, inode)
            names[name] = target
        position += length
    together = b"".join(names)
    if b"/" in together or b"\0" in together:
        raise _damaged(disk, inode)
    return names


def _damaged(disk: str, inode: int) -> Damaged:
    return Damaged(f"disk {disk}: directory inode {inode} is malformed")
