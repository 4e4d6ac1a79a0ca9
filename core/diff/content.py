"""The bytes of a file: read in pieces, and compared with another's without reading what cannot differ."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.diff.disk import Blocks, Bytes
from core.diff.ext4 import Volume
from core.diff.extents import Extents

_PIECE_BLOCKS = 256  # 1 MiB at a time
_HOLE = -1


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of one regular file on a volume."""

    volume: Volume
    extents: Extents
    """Of this file alone."""
    size: int

    @property
    def blocks(self) -> int:
        """Length in filesystem blocks, the last perhaps in part."""
        return -(-self.size // self.volume.block_bytes)

    def read(self, limit: int) -> bytes:
        """The first `limit` bytes, or all there are."""
        end = min(self.size, limit)
        last = -(-end // self.volume.block_bytes)
        return b"".join(piece.tobytes() for piece in self._pieces(last))[:end]

    def pieces(self) -> Iterator[bytes]:
        """All bytes, at most 1 MiB at a time."""
        left = self.size
        for piece in self._pieces(self.blocks):
            yield piece.tobytes()[:left]
            left -= piece.size

    def _pieces(self, end: int) -> Iterator[Bytes]:
        for first in range(0, end, _PIECE_BLOCKS):
            yield self.gather(np.arange(first, min(end, first + _PIECE_BLOCKS)))

    def locate(self, logical: Blocks) -> Blocks:
        """Where these blocks of the file lie on the disk; _HOLE for those that read as zeros."""
        extents = self.extents
        if not len(extents.logical):
            return np.full(len(logical), _HOLE, dtype=np.int64)
        row = np.searchsorted(extents.logical, logical, side="right") - 1
        within = logical - extents.logical[row.clip(0)]
        there = (row >= 0) & (within < extents.length[row.clip(0)]) & extents.written[row.clip(0)]
        return np.where(there, extents.physical[row.clip(0)] + within, _HOLE)

    def gather(self, logical: Blocks) -> Bytes:
        """These blocks of the file, shape (n, block_bytes), zeros behind its end."""
        physical = self.locate(logical)
        there = physical != _HOLE
        out = np.zeros((len(logical), self.volume.block_bytes), dtype=np.uint8)
        out[there] = self.volume.blocks(physical[there])
        if len(logical) and (int(logical[-1]) + 1) * self.volume.block_bytes > self.size:
            out[-1, self.size - int(logical[-1]) * self.volume.block_bytes :] = 0
        return out


def same_content(a: Content, b: Content, changed: Blocks | None) -> bool:
    """Whether two files hold the same bytes. `changed`, ascending, are the filesystem blocks that may differ
    between the two volumes; None when the volumes have nothing in common."""
    if a.size != b.size:
        return False
    for first, end in _segments(a, b):
        for logical in _suspects(a, b, first, end, changed):
            if not np.array_equal(a.gather(logical), b.gather(logical)):
                return False
    return True


def _segments(a: Content, b: Content) -> Iterator[tuple[int, int]]:
    """Logical ranges in which neither file begins or ends an extent."""
    edges = [part.extents.logical for part in (a, b)]
    edges += [part.extents.logical + part.extents.length for part in (a, b)]
    cuts = np.unique(np.concatenate([*edges, np.array([0, a.blocks])])).clip(0, a.blocks)
    for first, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        if first < end:
            yield first, end


def _suspects(a: Content, b: Content, first: int, end: int, changed: Blocks | None) -> Iterator[Blocks]:
    """The blocks of a segment that have to be read to know, in pieces."""
    ours, theirs = (int(part.locate(np.array([first]))[0]) for part in (a, b))
    if ours == _HOLE and theirs == _HOLE:
        return
    if ours == theirs and changed is not None:
        low, high = np.searchsorted(changed, [ours, ours + end - first]).tolist()
        blocks: NDArray[np.int64] = changed[low:high] - ours + first
        for start in range(0, len(blocks), _PIECE_BLOCKS):
            yield blocks[start : start + _PIECE_BLOCKS]
        return
    for start in range(first, end, _PIECE_BLOCKS):
        yield np.arange(start, min(end, start + _PIECE_BLOCKS))
