"""ext4 superblock and group descriptors: the geometry everything else is found by.

Layout: the kernel's Documentation/filesystems/ext4. Every number is checked against the disk's size here, so
that the other modules may multiply and shift them freely. On a torn disk checksums of these may be behind what they are
of; the geometry itself never changes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.diff.crc32c import crc32c, crc32c_of
from core.disk.blocks import Blocks, Disk
from core.errors import Damaged, Unsupported

_RECOVER = 0x4
_CSUM_SEED = 0x2000
_64BIT = 0x80
_EXTENTS = 0x40
_METADATA_CSUM = 0x400
# filetype, extents, 64bit, flex_bg, csum_seed, largedir
_KNOWN_INCOMPATIBLE = 0x2 | _EXTENTS | _64BIT | 0x200 | _CSUM_SEED | 0x4000
# sparse_super, large_file, huge_file, gdt_csum, dir_nlink, extra_isize, quota, metadata_csum, read-only, project,
# orphan_present: none changes where a file's bytes or names lie
_KNOWN_READ_ONLY = 0x1 | 0x2 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | _METADATA_CSUM | 0x1000 | 0x2000 | 0x10000


@dataclass(frozen=True, slots=True)
class Superblock:
    """The geometry of one filesystem. Two disks of one image have equal superblocks here."""

    uuid: bytes
    block_bytes: int
    blocks: int
    inodes: int
    inodes_per_group: int
    inode_bytes: int
    first_data_block: int
    descriptor_bytes: int
    groups: int
    checksum_seed: int | None
    """Where metadata checksums start from; None when the filesystem has none."""

    @property
    def inodes_per_block(self) -> int:
        """How many inode records a filesystem block of an inode table holds."""
        return self.block_bytes // self.inode_bytes

    @property
    def table_blocks(self) -> int:
        """Length of one group's inode table in filesystem blocks."""
        return self.inodes_per_group * self.inode_bytes // self.block_bytes


def read_superblock(disk: Disk) -> Superblock:
    """Parse and check the superblock. Unsupported for what this reader does not know, Damaged for nonsense."""
    if disk.size < 4096:
        raise Unsupported(f"disk {disk.name} is too small to hold a filesystem")
    raw = disk.read(1024, 1024)
    if raw[56:58] != b"\x53\xef":
        raise Unsupported(f"disk {disk.name} holds no ext4 filesystem")
    _check_features(disk, raw)
    checked = bool(_word(raw, 100) & _METADATA_CSUM)
    if checked and not disk.torn and crc32c_of(0xFFFFFFFF, raw[:1020]) != _word(raw, 1020):
        raise Damaged(f"disk {disk.name}: the ext4 superblock fails its checksum")
    return _geometry(disk, raw, checked)


def _word(raw: bytes, offset: int, size: int = 4) -> int:
    return int.from_bytes(raw[offset : offset + size], "little")


def _check_features(disk: Disk, raw: bytes) -> None:
    incompatible, read_only = _word(raw, 96), _word(raw, 100)
    if incompatible & _RECOVER:
        raise Unsupported(
            f"disk {disk.name}: the ext4 journal must be replayed first; mount it once in a machine"
        )
    unknown = incompatible & ~_KNOWN_INCOMPATIBLE | read_only & ~_KNOWN_READ_ONLY
    if unknown or not incompatible & _EXTENTS:
        raise Unsupported(
            f"disk {disk.name}: ext4 features {incompatible:#x}/{read_only:#x} are not ones vertui can read"
        )


def _geometry(disk: Disk, raw: bytes, checked: bool) -> Superblock:
    wide = bool(_word(raw, 96) & _64BIT)
    block_bytes = 1024 << min(_word(raw, 24), 16)
    blocks = _word(raw, 4) | (_word(raw, 336) << 32 if wide else 0)
    per_group, first = _word(raw, 32), _word(raw, 20)
    inodes, inodes_per_group = _word(raw, 0), _word(raw, 40)
    inode_bytes, descriptor_bytes = _word(raw, 88, 2), _word(raw, 254, 2) if wide else 32
    groups = -(-(blocks - first) // per_group) if per_group else 0
    if block_bytes > 4096 or inode_bytes not in (256, 512, 1024) or inode_bytes > block_bytes:
        raise Unsupported(f"disk {disk.name}: ext4 blocks of {block_bytes} and inodes of {inode_bytes} bytes")
    sane = (
        0 < per_group <= block_bytes * 8
        and 0 < blocks <= disk.size // block_bytes
        and first == (1 if block_bytes == 1024 else 0)
        and 0 < inodes_per_group <= block_bytes * 8
        and inodes_per_group * inode_bytes % block_bytes == 0
        and inodes == inodes_per_group * groups
        and descriptor_bytes in (32, 64, 128, 256)
    )
    if not sane:
        raise Damaged(f"disk {disk.name}: the ext4 superblock contradicts itself or the disk's size")
    return Superblock(
        uuid=raw[104:120],
        block_bytes=block_bytes,
        blocks=blocks,
        inodes=inodes,
        inodes_per_group=inodes_per_group,
        inode_bytes=inode_bytes,
        first_data_block=first,
        descriptor_bytes=descriptor_bytes,
        groups=groups,
        checksum_seed=_seed(raw) if checked else None,
    )


def _seed(raw: bytes) -> int:
    return _word(raw, 624) if _word(raw, 96) & _CSUM_SEED else crc32c_of(0xFFFFFFFF, raw[104:120])


def read_inode_tables(disk: Disk, superblock: Superblock) -> Blocks:
    """First filesystem block of each group's inode table."""
    width = superblock.descriptor_bytes
    offset = (superblock.first_data_block + 1) * superblock.block_bytes
    if offset + superblock.groups * width > disk.size:
        raise Damaged(f"disk {disk.name}: the ext4 group descriptors lie beyond its end")
    raw = disk.read(offset, superblock.groups * width)
    rows = np.frombuffer(raw, dtype=np.uint8).reshape(superblock.groups, width)
    if superblock.checksum_seed is not None and not disk.torn:
        _check_descriptors(disk, superblock.checksum_seed, rows)
    tables = _column(rows, 8)
    if width >= 64:
        tables |= _column(rows, 40) << 32
    if (tables <= 0).any() or (tables > superblock.blocks - superblock.table_blocks).any():
        raise Damaged(f"disk {disk.name}: an ext4 inode table lies outside the filesystem")
    return tables


def _column(rows: NDArray[np.uint8], offset: int) -> Blocks:
    return np.ascontiguousarray(rows[:, offset : offset + 4]).view("<u4").reshape(-1).astype(np.int64)


def _check_descriptors(disk: Disk, seed: int, rows: NDArray[np.uint8]) -> None:
    numbers = np.arange(len(rows), dtype="<u4").view(np.uint8).reshape(-1, 4)
    blanked = rows.copy()
    blanked[:, 30:32] = 0
    expected = crc32c(seed, np.concatenate([numbers, blanked], axis=1)) & 0xFFFF
    if (expected != np.ascontiguousarray(rows[:, 30:32]).view("<u2").reshape(-1)).any():
        raise Damaged(f"disk {disk.name}: an ext4 group descriptor fails its checksum")
