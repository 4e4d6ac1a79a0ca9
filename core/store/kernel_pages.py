"""The kernel's ELF as the pages its loader puts into memory. ELF-64 program headers: System V gABI, chapter 5."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.disk.qcow2 import LayerFile
from core.errors import Damaged
from core.model import PAGE_BYTES
from core.store.hashing import Contents

PT_LOAD = 1
HEADER_BYTES = 64
HIGHEST_BYTES = 1 << 32  # of a physical address: a kernel loads far below


@dataclass(frozen=True)
class Segment:
    """A PT_LOAD segment: `size` bytes at `offset` of the file go to physical address `address`."""

    offset: int
    address: int
    size: int


class KernelPages:
    """A kernel's pages by physical page number; the file stays the caller's. Damaged when it is no 64-bit ELF."""

    def __init__(self, file: LayerFile) -> None:
        self._file = file
        try:
            self.segments = _segments(file)
        except (struct.error, ValueError) as error:
            raise Damaged(f"kernel {file.path} is no ELF that loads: {error}") from error

    def places(self) -> NDArray[np.uint32]:
        """The physical pages the segments touch, ascending."""
        spans = [
            np.arange(s.address // PAGE_BYTES, -(-(s.address + s.size) // PAGE_BYTES), dtype=np.uint32)
            for s in self.segments
        ]
        return np.unique(np.concatenate([np.empty(0, np.uint32), *spans]))

    def read(self, places: NDArray[np.uint32]) -> Contents:
        """What the loader puts there, zero where no segment reaches."""
        out = np.zeros((len(places), PAGE_BYTES), np.uint8)
        starts = places.astype(np.int64) * PAGE_BYTES
        for segment in self.segments:
            first, end = -(-segment.address // PAGE_BYTES), (segment.address + segment.size) // PAGE_BYTES
            whole = (places >= first) & (places < end)
            rows = np.flatnonzero(whole)
            self._file.gather(starts[rows] - segment.address + segment.offset, out, rows)
            touched = (starts + PAGE_BYTES > segment.address) & (starts < segment.address + segment.size)
            for row in np.flatnonzero(touched & ~whole).tolist():
                low = max(int(starts[row]), segment.address)
                high = min(int(starts[row]) + PAGE_BYTES, segment.address + segment.size)
                data = self._file.read(low - segment.address + segment.offset, high - low)
                out[row, low - int(starts[row]) :][: high - low] = np.frombuffer(data, np.uint8)
        return out


def _segments(file: LayerFile) -> list[Segment]:
    header = file.read(0, HEADER_BYTES)
    if header[:5] != b"\x7fELF\x02":
        raise ValueError("wrong magic")
    (table,) = struct.unpack_from("<Q", header, 0x20)
    size, count = struct.unpack_from("<HH", header, 0x36)
    data = file.read(table, size * count)
    found = []
    for at in range(0, size * count, size):
        kind, offset, address, file_size = struct.unpack_from("<I4xQ8xQQ", data, at)
        if kind == PT_LOAD and file_size:
            if offset + file_size > file.file_bytes or address + file_size > HIGHEST_BYTES:
                raise ValueError("a segment lies outside")
            found.append(Segment(offset, address, file_size))
    return found
