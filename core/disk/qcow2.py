"""Read-only view of a machine's disk: a raw base image under qcow2 overlays, read without QEMU.

Only the overlays vertui itself makes are understood: version 3, 4 KiB clusters, nothing compressed,
encrypted or snapshotted inside, no backing file named. Format: QEMU's docs/interop/qcow2.txt.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from core.disk.blocks import BLOCK_BYTES, Blocks, Bytes
from core.errors import Damaged, Unsupported
from core.files import read_error

READS_AS_ZERO = -1
"""In `Overlay.clusters`: a cluster the guest zeroed; it hides what lies below and has no bytes of its own."""

_HEADER = Struct(">4sIQIIQIIQQIIQQQQII")
_CLUSTER_BITS = 12
_L2_ENTRIES = BLOCK_BYTES // 8
_MAX_SIZE = 1 << 40  # bounds the cluster map; far above any root disk
_OFFSET_MASK = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED = 1 << 62
_ZERO_FLAG = 1
_COMPARE_BLOCKS = 1024  # 4 MiB of each side at a time


class LayerFile:
    """A file of a disk chain, open for reading; foreign errors become Damaged here."""

    def __init__(self, path: Path) -> None:
        self.path, self._fd = path, -1
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_RANDOM)
            self.file_bytes = os.fstat(self._fd).st_size
        except OSError as error:
            raise read_error(error, f"disk layer {path}") from error

    def close(self) -> None:
        """Let go of the file; harmless when repeated."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes at `offset`."""
        buffer = bytearray(length)
        self._read_into(memoryview(buffer), offset)
        return bytes(buffer)

    def gather(self, offsets: NDArray[np.int64], out: Bytes, rows: NDArray[np.int64]) -> None:
        """Read the block at each byte offset into its row of `out`, neighbours in one go."""
        if not len(offsets):
            return
        joined = (np.diff(offsets) == BLOCK_BYTES) & (np.diff(rows) == 1)
        starts = np.concatenate(([0], np.flatnonzero(~joined) + 1, [len(offsets)]))
        for first, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
            row = int(rows[first])
            self._read_into(out[row : row + end - first].reshape(-1).data, int(offsets[first]))

    def _read_into(self, buffer: memoryview, offset: int) -> None:
        done = 0
        while done < len(buffer):
            try:
                count = os.preadv(self._fd, [buffer[done:]], offset + done)
            except OSError as error:
                raise read_error(error, f"disk layer {self.path}") from error
            if not count:
                raise Damaged(f"disk layer {self.path} ends before byte {offset + len(buffer)}")
            done += count


class Overlay(LayerFile):
    """One qcow2 layer.

    `clusters[g]` is the file offset of guest cluster g, 0 where the layer below shows through, READS_AS_ZERO where
    zeros were written; `allocated` lists the g that are not 0, ascending; `size` is the guest's disk in bytes.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            self.size, l1_entries, l1_offset = self._header()
            self.clusters, self.allocated = self._load(l1_entries, l1_offset)
        except BaseException:
            self.close()
            raise

    def _header(self) -> tuple[int, int, int]:
        if self.file_bytes < _HEADER.size:
            raise self._damaged("is too short for a qcow2 header")
        fields = _HEADER.unpack(self.read(0, _HEADER.size))
        magic, version, backing, _, cluster_bits, size, encryption, l1_entries, l1_offset = fields[:9]
        snapshots, incompatible = fields[11], fields[13]
        if magic != b"QFI\xfb" or version != 3:
            raise self._damaged("is not a qcow2 file of version 3")
        if backing or encryption or snapshots or incompatible or cluster_bits != _CLUSTER_BITS:
            raise self._damaged("uses qcow2 features that vertui never writes")
        if size % BLOCK_BYTES or not 0 < size <= _MAX_SIZE:
            raise self._damaged(f"claims an impossible disk size of {size} bytes")
        return size, l1_entries, l1_offset

    def _load(self, l1_entries: int, l1_offset: int) -> tuple[NDArray[np.int64], Blocks]:
        """The cluster map, and the numbers of the clusters that are in this layer."""
        clusters = self.size // BLOCK_BYTES
        needed = -(-clusters // _L2_ENTRIES)
        if l1_entries < needed:
            raise self._damaged("has too short a first-level table")
        l1 = np.frombuffer(self.read(l1_offset, needed * 8), dtype=">u8").astype(np.int64) & _OFFSET_MASK
        used = np.flatnonzero(l1)
        tables = np.zeros((len(used), BLOCK_BYTES), dtype=np.uint8)
        self._check_offsets(l1[used])
        self.gather(l1[used], tables, np.arange(len(used)))
        offsets = self._host_offsets(tables.view(">u8").astype(np.int64))
        row, column = np.nonzero(offsets)
        allocated = used[row] * _L2_ENTRIES + column
        # Untouched parts of this array stay unbacked zero pages, so it costs what is allocated.
        dense = np.zeros((needed, _L2_ENTRIES), dtype=np.int64)
        dense[used] = offsets
        return dense.reshape(-1)[:clusters], allocated[allocated < clusters]

    def _host_offsets(self, entries: NDArray[np.int64]) -> NDArray[np.int64]:
        if (entries & _COMPRESSED).any():
            raise self._damaged("holds compressed clusters, which vertui never writes")
        offsets = entries & _OFFSET_MASK
        zeroed = (entries & _ZERO_FLAG) != 0
        self._check_offsets(offsets[(offsets != 0) & ~zeroed])
        return np.where(zeroed, READS_AS_ZERO, offsets)

    def _check_offsets(self, offsets: NDArray[np.int64]) -> None:
        if (offsets % BLOCK_BYTES).any() or (offsets >= self.file_bytes).any():
            raise self._damaged("points outside itself")

    def _damaged(self, what: str) -> Damaged:
        return Damaged(f"disk overlay {self.path} {what}")


class OverlayStack:
    """Overlays of one disk size, bottom first, open together; what they do not hold lies below them.

    The files must not be written while it is open. Raises Damaged or Unsupported naming the file.
    """

    def __init__(self, paths: Sequence[Path], size: int) -> None:
        self.overlays: list[Overlay] = []
        try:
            for path in paths:
                self.overlays.append(overlay := Overlay(path))
                if overlay.size != size:
                    raise Damaged(f"disk overlay {path} is not of its base's size, {size} bytes")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of every file; harmless when repeated."""
        for overlay in self.overlays:
            overlay.close()

    def gather(self, block_numbers: Blocks, out: Bytes) -> NDArray[np.int64]:
        """Put the blocks that lie in an overlay into their rows of `out`; the rows of all others."""
        rows = np.arange(len(block_numbers))
        for overlay in reversed(self.overlays):
            found = overlay.clusters[block_numbers[rows]]
            here = found > 0
            overlay.gather(found[here], out, rows[here])
            out[rows[found == READS_AS_ZERO]] = 0
            rows = rows[found == 0]
        return rows

    def written_blocks(self) -> Blocks:
        """Blocks that lie in any overlay, ascending."""
        return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *(o.allocated for o in self.overlays)]))


class ChainDisk:
    """A raw base image with overlays over it, bottom first, as one disk; a context manager.

    The files must not be written while it is open. Raises Damaged or Unsupported naming the file.
    """

    def __init__(self, base: Path, overlays: Sequence[Path] = ()) -> None:
        self.torn = False  # may a part of what was written last not be there?
        self._base = LayerFile(base)
        self.size = self._base.file_bytes
        try:
            if not self.size or self.size % BLOCK_BYTES:
                raise Unsupported(f"base image {base} is not a whole number of 4 KiB blocks")
            self._stack = OverlayStack(overlays, self.size)
        except BaseException:
            self._base.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of every file; harmless when repeated."""
        self._base.close()
        self._stack.close()

    @property
    def name(self) -> str:
        """The path of the topmost layer."""
        return str([self._base, *self._stack.overlays][-1].path)

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes at `offset`, from whichever layers hold them."""
        first, end = offset // BLOCK_BYTES, -(-(offset + length) // BLOCK_BYTES)
        start = offset - first * BLOCK_BYTES
        return self.read_blocks(np.arange(first, end)).reshape(-1)[start : start + length].tobytes()

    def read_blocks(self, block_numbers: Blocks) -> Bytes:
        """The named 4 KiB blocks, shape (n, 4096)."""
        if (
            len(block_numbers)
            and not 0 <= block_numbers.min() <= block_numbers.max() < self.size // BLOCK_BYTES
        ):
            raise Damaged(f"disk {self.name} was asked for a block beyond its end")
        out = np.zeros((len(block_numbers), BLOCK_BYTES), dtype=np.uint8)
        rows = self._stack.gather(block_numbers, out)
        self._base.gather(block_numbers[rows] * BLOCK_BYTES, out, rows)
        return out

    def changed_blocks(self, other: Self) -> Blocks:
        """Blocks that differ: candidates are those in a layer the two do not share, settled by content."""
        if self.size != other.size:
            raise Unsupported(f"disks {self.name} and {other.name} differ in size")
        candidates = self._candidates(other)
        differing = [
            part[(self.read_blocks(part) != other.read_blocks(part)).any(axis=1)]
            for start in range(0, len(candidates), _COMPARE_BLOCKS)
            for part in [candidates[start : start + _COMPARE_BLOCKS]]
        ]
        return np.concatenate([np.empty(0, dtype=np.int64), *differing])

    def _candidates(self, other: Self) -> Blocks:
        if self._base.path != other._base.path:
            return np.arange(self.size // BLOCK_BYTES)
        shared = 0
        mine_all, theirs_all = self._stack.overlays, other._stack.overlays
        for mine, theirs in zip(mine_all, theirs_all, strict=False):
            if mine.path != theirs.path:
                break
            shared += 1
        apart = mine_all[shared:] + theirs_all[shared:]
        return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *(layer.allocated for layer in apart)]))
