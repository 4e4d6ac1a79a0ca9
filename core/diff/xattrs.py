"""ext4 extended attributes, kept behind an inode's fields and in one block that inodes may share."""

from collections.abc import Callable, Iterator
from struct import Struct

import numpy as np

from core.diff.crc32c import crc32c_of
from core.diff.ext4 import Inodes, Volume
from core.diff.inodes import record_bytes
from core.diff.meta import Xattrs
from core.errors import Damaged

_MAGIC = b"\x00\x00\x02\xea"
_ENTRY = Struct("<BBHIII")
_PREFIXES = {
    0: b"",
    1: b"user.",
    2: b"system.posix_acl_access",
    3: b"system.posix_acl_default",
    4: b"trusted.",
    6: b"security.",
    7: b"system.",
    8: b"system.richacl",
}
_BLOCK_HEADER_BYTES = 32
_ACLS = (2, 3)
_STORED_ACL, _SHOWN_ACL = (version.to_bytes(4, "little") for version in (1, 2))
_NAMED = (0x02, 0x08)  # entries for a certain user or group


def read_xattrs(volume: Volume, inodes: Inodes) -> Iterator[Xattrs]:
    """The attributes of each of `inodes`, in their order."""
    shared = _blocks(volume, inodes)
    rows = record_bytes(inodes.records)
    starts = (inodes.records["extra_bytes"].astype(np.int64) + 128).tolist()
    numbers, blocks = inodes.numbers.tolist(), inodes.attribute_blocks.tolist()
    for row, start, inode, block in zip(rows, starts, numbers, blocks, strict=True):
        pairs = _parse_inline(volume.disk.name, inode, row[start:].tobytes())
        if block:
            pairs += _parse_block(volume.disk.name, inode, shared[block])
        yield tuple(sorted(pairs))


def _blocks(volume: Volume, inodes: Inodes) -> dict[int, bytes]:
    numbers = inodes.attribute_blocks
    volume.require_inside(inodes.numbers[numbers != 0], numbers[numbers != 0])
    unique = np.unique(numbers[numbers != 0])
    blocks = {}
    for number, row in zip(unique.tolist(), volume.blocks(unique), strict=True):
        blocks[number] = row.tobytes()
        if volume.superblock.checksum_seed is not None:
            _check_sum(volume.disk.name, volume.superblock.checksum_seed, number, blocks[number])
    return blocks


def _check_sum(disk: str, seed: int, number: int, block: bytes) -> None:
    start = crc32c_of(seed, number.to_bytes(8, "little"))
    if crc32c_of(start, block[:16] + bytes(4) + block[20:]) != int.from_bytes(block[16:20], "little"):
        raise Damaged(f"disk {disk}: attribute block {number} fails its checksum")


def _parse_inline(disk: str, inode: int, tail: bytes) -> list[tuple[bytes, bytes]]:
    """Attributes in the space behind an inode's fields; value offsets count from the first entry."""
    if tail[:4] != _MAGIC:
        return []
    return _parse(disk, inode, tail, 4, 4)


def _parse_block(disk: str, inode: int, block: bytes) -> list[tuple[bytes, bytes]]:
    """Attributes in a block of their own; value offsets count from its start."""
    if block[:4] != _MAGIC:
        raise _damaged(disk, inode)
    return _parse(disk, inode, block, _BLOCK_HEADER_BYTES, 0)


def _parse(disk: str, inode: int, area: bytes, position: int, origin: int) -> list[tuple[bytes, bytes]]:
    attributes = []
    while position + 4 <= len(area) and area[position : position + 4] != b"\0\0\0\0":
        if position + _ENTRY.size > len(area):
            raise _damaged(disk, inode)
        name_length, prefix, offset, in_inode, size, _ = _ENTRY.unpack_from(area, position)
        name = area[position + 16 : position + 16 + name_length]
        start = origin + offset
        if in_inode or prefix not in _PREFIXES or len(name) < name_length or start + size > len(area):
            raise _damaged(disk, inode)
        value = area[start : start + size]
        if prefix in _ACLS:
            value = _acl(value, lambda: _damaged(disk, inode))
        attributes.append((_PREFIXES[prefix] + name, value))
        position += (16 + name_length + 3) & ~3
    return attributes


def _acl(stored: bytes, damaged: Callable[[], Damaged]) -> bytes:
    """An access list as getxattr(2) gives it: every entry there has an id (linux/posix_acl_xattr.h)."""
    if stored[:4] != _STORED_ACL:
        raise damaged()
    parts, position = [_SHOWN_ACL], 4
    while position < len(stored):
        tag = int.from_bytes(stored[position : position + 2], "little")
        length = 8 if tag in _NAMED else 4
        entry = stored[position : position + length]
        if len(entry) < length:
            raise damaged()
        parts.append(entry if tag in _NAMED else entry + b"\xff" * 4)
        position += length
    return b"".join(parts)


def _damaged(disk: str, inode: int) -> Damaged:
    return Damaged(f"disk {disk}: the extended attributes of inode {inode} are malformed")
