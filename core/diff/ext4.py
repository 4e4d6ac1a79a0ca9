"""An ext4 filesystem on a disk, read in user space: inodes by number, in bulk.

Nothing here trusts what it reads: numbers are bounded by the disk's size, checksums are verified where the
filesystem has them, and whatever cannot be right is Damaged in one line.
"""

import numpy as np

from core.diff.crc32c import crc32c
from core.diff.extents import Extents, read_extents
from core.diff.inodes import (
    DIRECTORY,
    EXTENTS,
    REGULAR,
    SYMLINK,
    TYPE_MASK,
    Records,
    check_records,
    in_use,
    inode_seeds,
    is_reserved,
    record_type,
)
from core.diff.meta import FILE_TYPES
from core.diff.superblock import read_inode_tables, read_superblock
from core.disk.blocks import BLOCK_BYTES, Blocks, Bytes, Disk
from core.errors import Damaged

_MOST_FILE_BLOCKS = 1 << 32  # an extent tree counts the blocks of a file in 32 bits
FAST_SYMLINK_BYTES = 60  # a shorter target is kept inside the inode


class Inodes:
    """Some inodes of a volume: their numbers (ascending), records and extents, row by row."""

    def __init__(self, numbers: Blocks, records: Records, extents: Extents) -> None:
        self.numbers = numbers
        self.records = records
        self.extents = extents

    @property
    def directories(self) -> Blocks:
        """The numbers of those that are directories."""
        chosen: Blocks = self.numbers[(self.records["mode"] & TYPE_MASK) == DIRECTORY]
        return chosen

    @property
    def attribute_blocks(self) -> Blocks:
        """Each inode's block of extended attributes, 0 for none."""
        return self.records["acl_low"].astype(np.int64) | (self.records["acl_high"].astype(np.int64) << 32)


class Volume:
    """The filesystem on `disk`. Raises Unsupported when it is not ext4 as vertui makes it, Damaged for nonsense."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.superblock = read_superblock(disk)
        self.inode_tables = read_inode_tables(disk, self.superblock)
        """First block of each group's inode table."""
        self.torn = disk.torn
        self.unsound = 0  # reads that found something torn: whoever counts them bounds what they cost
        self._record_type = record_type(self.superblock.inode_bytes)

    @property
    def block_bytes(self) -> int:
        """Size of a filesystem block, the unit of all block numbers here."""
        return self.superblock.block_bytes

    def blocks(self, numbers: Blocks) -> Bytes:
        """Filesystem blocks, shape (n, block_bytes)."""
        ratio = BLOCK_BYTES // self.block_bytes
        if ratio == 1:
            return self.disk.read_blocks(numbers)
        pages = self.disk.read_blocks(numbers // ratio).reshape(-1, ratio, self.block_bytes)
        return pages[np.arange(len(numbers)), numbers % ratio]

    def filesystem_blocks(self, disk_blocks: Blocks) -> Blocks:
        """The filesystem blocks lying on these 4 KiB disk blocks."""
        ratio = BLOCK_BYTES // self.block_bytes
        numbers = (disk_blocks[:, None] * ratio + np.arange(ratio)).reshape(-1)
        return numbers[numbers < self.superblock.blocks]

    def same_layout(self, other: "Volume") -> bool:
        """Whether inode and block numbers mean the same on both: copies of one filesystem."""
        return self.superblock == other.superblock and bool(
            np.array_equal(self.inode_tables, other.inode_tables)
        )

    def changed_inodes(self, other: "Volume", changed: Blocks) -> Blocks:
        """Numbers of the inodes whose records differ between two volumes of one layout, given changed blocks;
        the filesystem's own inodes, which no name leads to, are left out."""
        order = np.argsort(self.inode_tables)
        slot = np.searchsorted(self.inode_tables[order], changed, side="right") - 1
        group = order[slot.clip(0)]
        inside = (slot >= 0) & (changed < self.inode_tables[group] + self.superblock.table_blocks)
        group, block = group[inside], changed[inside]
        per_block = self.superblock.inodes_per_block
        before = self.superblock.inodes_per_group * group + (block - self.inode_tables[group]) * per_block
        numbers = before[:, None] + np.arange(1, per_block + 1)
        mine, theirs = (
            volume.blocks(block).reshape(-1, self.superblock.inode_bytes) for volume in (self, other)
        )
        differing = np.unique(numbers.reshape(-1)[(mine != theirs).any(axis=1)])
        return differing[~is_reserved(differing)]

    def living(self, numbers: Blocks) -> Blocks:
        """Those of `numbers` that are in use."""
        return numbers[in_use(self._raw(numbers))]

    def inodes(self, numbers: Blocks) -> Inodes:
        """The named inodes (ascending, unique), all of which must be in use."""
        records = self._raw(numbers)
        alive = in_use(records)
        if not alive.all():
            raise Damaged(
                f"disk {self.disk.name}: a directory names inode {numbers[~alive][0]}, which is deleted"
            )
        check_records(self.disk.name, self.superblock.checksum_seed, numbers, records)
        return Inodes(numbers, records, self._extents(numbers, records))

    def _raw(self, numbers: Blocks) -> Records:
        if len(numbers) and not 1 <= numbers.min() <= numbers.max() <= self.superblock.inodes:
            raise Damaged(f"disk {self.disk.name}: a directory names an inode that does not exist")
        group, index = np.divmod(numbers - 1, self.superblock.inodes_per_group)
        block = self.inode_tables[group] + index // self.superblock.inodes_per_block
        unique, inverse = np.unique(block, return_inverse=True)
        table = self.blocks(unique).reshape(
            len(unique), self.superblock.inodes_per_block, self.superblock.inode_bytes
        )
        rows = np.ascontiguousarray(table[inverse, index % self.superblock.inodes_per_block])
        records: Records = rows.reshape(-1).view(self._record_type)
        return records

    def _extents(self, numbers: Blocks, records: Records) -> Extents:
        kind = records["mode"] & TYPE_MASK
        sizes = records["size_low"].astype(np.int64) | (records["size_high"].astype(np.int64) << 32)
        by_extents = (
            (kind == REGULAR) | (kind == DIRECTORY) | ((kind == SYMLINK) & (sizes >= FAST_SYMLINK_BYTES))
        )
        mapped = by_extents & ((records["flags"] & EXTENTS) != 0)
        foreign = by_extents & ~mapped & records["root"].any(axis=1)
        endless = sizes > _MOST_FILE_BLOCKS * self.block_bytes
        strange = foreign | endless | ~np.isin(kind, list(FILE_TYPES))
        if strange.any():
            raise Damaged(f"disk {self.disk.name}: inode {numbers[strange][0]} is not one vertui can read")
        return read_extents(
            self.disk.name,
            self.superblock.blocks,
            numbers[mapped],
            records["root"][mapped],
            self._tree_blocks,
        )

    def _tree_blocks(self, owners: Blocks, numbers: Blocks) -> Bytes:
        self.require_inside(owners, numbers)
        rows = self.blocks(numbers)
        if self.superblock.checksum_seed is None or not len(rows):
            return rows
        seeds = inode_seeds(self.superblock.checksum_seed, owners, self._raw(owners))
        capacity = rows[:, 4].astype(np.int64) | rows[:, 5].astype(np.int64) << 8
        for count in np.unique(capacity).tolist():
            end = 12 * (count + 1)
            at = capacity == count
            if end + 4 > self.block_bytes:
                raise Damaged(f"disk {self.disk.name}: inode {owners[at][0]} has a malformed extent tree")
            stored = np.ascontiguousarray(rows[at, end : end + 4]).view("<u4").reshape(-1)
            if (crc32c(seeds[at], rows[at, :end]) != stored).any():
                raise Damaged(
                    f"disk {self.disk.name}: an extent block of inode {owners[at][0]} fails its checksum"
                )
        return rows

    def require_inside(self, owners: Blocks, numbers: Blocks) -> None:
        """Damaged unless these blocks, which the inodes `owners` name, lie in the filesystem."""
        bad = (numbers <= 0) | (numbers >= self.superblock.blocks)
        if bad.any():
            raise Damaged(f"disk {self.disk.name}: inode {owners[bad][0]} points outside the filesystem")


def merge_numbers(*parts: Blocks) -> Blocks:
    """The union of several arrays of numbers, ascending."""
    return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *parts]))
