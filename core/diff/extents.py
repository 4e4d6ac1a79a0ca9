"""ext4 extent trees: where the blocks of files lie. Depth and loops are bounded by the format itself."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.disk.blocks import Blocks, Bytes
from core.errors import Damaged

_MAGIC = 0xF30A
_MAX_DEPTH = 5
_ENTRY_BYTES = 12
_MAX_WRITTEN = 32768  # a longer length means the extent is allocated and reads as zeros


@dataclass(frozen=True, slots=True)
class Extents:
    """Runs of blocks, one a row, ordered by (inode, logical). Units are filesystem blocks."""

    inode: Blocks
    logical: Blocks
    physical: Blocks
    length: Blocks
    written: NDArray[np.bool_]
    node_inode: Blocks
    """Owners of the blocks that hold the trees themselves …"""
    node_block: Blocks
    """… and where those lie."""

    def of(self, inode: int) -> "Extents":
        """The rows of one inode, without its tree blocks."""
        first, end = np.searchsorted(self.inode, [inode, inode + 1]).tolist()
        rows = slice(first, end)
        none = self.node_block[:0]
        return Extents(
            self.inode[rows],
            self.logical[rows],
            self.physical[rows],
            self.length[rows],
            self.written[rows],
            none,
            none,
        )


ReadNodes = Callable[[Blocks, Blocks], Bytes]
"""(inodes, blocks) → the tree blocks of these inodes, bounds and checksums checked."""


def read_extents(disk: str, blocks: int, inodes: Blocks, roots: Bytes, read_nodes: ReadNodes) -> Extents:
    """All extents of `inodes`, whose records hold `roots` (shape (n, 60)); `blocks` is the filesystem's size.

    Damaged when a tree is malformed, two extents of a file overlap, or more blocks are claimed than there are:
    blocks belong to one file each, and this bounds all later work by the size of the disk.
    """
    leaves: list[tuple[Blocks, Bytes]] = []
    nodes: list[tuple[Blocks, Blocks]] = []
    owners, level, depths = inodes, roots, np.full(len(inodes), -1, dtype=np.int64)
    claimed = 0
    for _ in range(_MAX_DEPTH + 1):
        owners, entries, depths = _entries(disk, owners, level, depths)
        leaves.append((owners[depths == 0], entries[depths == 0]))
        owners, entries, depths = owners[depths > 0], entries[depths > 0], depths[depths > 0]
        if not len(owners):
            break
        children = _u32(entries, 4) | (_u16(entries, 8) << 32)
        claimed += len(children)
        _require(disk, claimed <= blocks, owners, "has an extent tree larger than the disk")
        nodes.append((owners, children))
        level = read_nodes(owners, children)
    return _assemble(disk, blocks, leaves, nodes)


def _entries(disk: str, owners: Blocks, level: Bytes, parents: Blocks) -> tuple[Blocks, Bytes, Blocks]:
    """The used entries of tree nodes: their owners, 12 bytes each, and the depth of their node."""
    capacity = (level.shape[1] // _ENTRY_BYTES) - 1
    used, depths = _u16(level, 2), _u16(level, 6)
    good = (_u16(level, 0) == _MAGIC) & (used <= capacity) & (depths <= _MAX_DEPTH)
    good &= (parents == -1) | (depths == parents - 1)
    _require(disk, bool(good.all()), owners[~good], "has a malformed extent tree")
    body = level[:, _ENTRY_BYTES : _ENTRY_BYTES * (capacity + 1)].reshape(len(level), capacity, _ENTRY_BYTES)
    taken = np.arange(capacity) < used[:, None]
    return np.repeat(owners, used), body[taken], np.repeat(depths, used)


def _assemble(
    disk: str, blocks: int, leaves: list[tuple[Blocks, Bytes]], nodes: list[tuple[Blocks, Blocks]]
) -> Extents:
    inode = np.concatenate([owner for owner, _ in leaves])
    entries = np.concatenate([part for _, part in leaves])
    logical, coded = _u32(entries, 0), _u16(entries, 4)
    physical = _u32(entries, 8) | (_u16(entries, 6) << 32)
    written = coded <= _MAX_WRITTEN
    length = np.where(written, coded, coded - _MAX_WRITTEN)
    order = np.lexsort((logical, inode))
    inode, logical, physical, length = inode[order], logical[order], physical[order], length[order]
    bad = (length == 0) | (physical <= 0) | (physical + length > blocks)
    bad[1:] |= (inode[1:] == inode[:-1]) & (logical[1:] < logical[:-1] + length[:-1])
    _require(disk, not bad.any(), inode[bad], "maps impossible blocks")
    _require(disk, int(length.sum()) <= blocks, inode, "and others claim more blocks than the disk has")
    empty = np.empty(0, dtype=np.int64)
    return Extents(
        inode=inode,
        logical=logical,
        physical=physical,
        length=length,
        written=written[order],
        node_inode=np.concatenate([empty, *(owner for owner, _ in nodes)]),
        node_block=np.concatenate([empty, *(block for _, block in nodes)]),
    )


def _require(disk: str, holds: bool, inodes: Blocks, what: str) -> None:
    if not holds:
        raise Damaged(f"disk {disk}: inode {inodes[0] if len(inodes) else '?'} {what}")


def _u16(rows: Bytes, offset: int) -> Blocks:
    return rows[:, offset].astype(np.int64) | (rows[:, offset + 1].astype(np.int64) << 8)


def _u32(rows: Bytes, offset: int) -> Blocks:
    return _u16(rows, offset) | (_u16(rows, offset + 2) << 16)
