"""The bytes of a file: read in pieces, and compared with another's without reading what cannot differ."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from blake3 import blake3

from core.diff.ext4 import Volume
from core.diff.extents import Extents
from core.disk.blocks import Blocks, Bytes

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

    def digest(self) -> bytes:
        """Equal exactly for equal bytes, at the cost of what is stored: holes and stored zeros count alike."""
        places, data = blake3(self.size.to_bytes(8, "little")), blake3()
        for logical, rows in self.stored():
            places.update(logical.astype("<i8").tobytes())
            data.update(rows.tobytes())
        return places.digest() + data.digest()

    def runs(self) -> list[tuple[int, int]]:
        """Offset and length in bytes of the stretches that are no holes; room that was never written is one."""
        extents, unit = self.extents, self.volume.block_bytes
        first = extents.logical[extents.written] * unit
        end = (first + extents.length[extents.written] * unit).clip(0, self.size)
        first, end = first[first < end], end[first < end]
        begins = np.concatenate([np.ones(1, dtype=bool), first[1:] != end[:-1]])[: len(first)]
        ends = np.concatenate([begins[1:], np.ones(1, dtype=bool)])[: len(first)]
        return list(zip(first[begins].tolist(), (end[ends] - first[begins]).tolist(), strict=True))

    def data(self) -> Iterator[bytes]:
        """The bytes of these stretches one after the other, at most 1 MiB at a time."""
        for offset, length in self.runs():
            unit = self.volume.block_bytes
            start, left = offset // unit, length
            for at in range(start, start + -(-length // unit), _PIECE_BLOCKS):
                piece = self.gather(np.arange(at, min(at + _PIECE_BLOCKS, start + -(-length // unit))))
                yield piece.tobytes()[:left]
                left -= piece.size

    def stored(self) -> Iterator[tuple[Blocks, Bytes]]:
        """The blocks of the file that are not all zeros, ascending, with their bytes, at most 1 MiB at a time."""
        extents = self.extents
        ends = (extents.logical + extents.length).clip(0, self.blocks)
        first, end = extents.logical[extents.written], ends[extents.written]
        logical = _expand(first, np.maximum(first, end))
        for start in range(0, len(logical), _PIECE_BLOCKS):
            piece = logical[start : start + _PIECE_BLOCKS]
            rows = self.gather(piece)
            filled = rows.any(axis=1)
            yield piece[filled], rows[filled]

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


def same_content(a: Content, b: Content, changed: Blocks) -> bool:
    """Whether two files hold the same bytes; `changed`, ascending, are the filesystem blocks that may differ
    between the two volumes, which are states of one filesystem."""
    if a.size != b.size:
        return False
    suspects = _suspects(a, b, changed)
    for start in range(0, len(suspects), _PIECE_BLOCKS):
        piece = suspects[start : start + _PIECE_BLOCKS]
        if not np.array_equal(a.gather(piece), b.gather(piece)):
            return False
    return True


def _suspects(a: Content, b: Content, changed: Blocks) -> Blocks:
    """The blocks of two files, ascending, that have to be read to know: those that lie at different places, and
    of those at the same place the changed ones. Never more than the two have on the disk."""
    first, end = _segments(a, b)
    ours, theirs = a.locate(first), b.locate(first)
    apart, together = ours != theirs, (ours == theirs) & (ours != _HOLE)
    first, end, ours, moved = (
        first[together],
        end[together],
        ours[together],
        _expand(first[apart], end[apart]),
    )
    low, high = np.searchsorted(changed, ours), np.searchsorted(changed, ours + end - first)
    in_place = changed[_expand(low, high)] - np.repeat(ours - first, high - low)
    return np.sort(np.concatenate([moved, in_place]))


def _segments(a: Content, b: Content) -> tuple[Blocks, Blocks]:
    """First blocks and ends of the stretches in which neither file begins or ends an extent."""
    edges = [part.extents.logical for part in (a, b)]
    edges += [part.extents.logical + part.extents.length for part in (a, b)]
    cuts = np.unique(np.concatenate([*edges, np.array([0, a.blocks])]).clip(0, a.blocks))
    return cuts[:-1], cuts[1:]


def _expand(first: Blocks, end: Blocks) -> Blocks:
    """All numbers of the ranges [first, end), one range after the other."""
    length = end - first
    numbers: Blocks = np.arange(int(length.sum())) + np.repeat(first - np.cumsum(length) + length, length)
    return numbers
