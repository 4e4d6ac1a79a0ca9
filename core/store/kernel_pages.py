"""The kernel's ELF as the pages its loader puts into memory. ELF-64 program headers: System V gABI, chapter 5."""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import Damaged
from core.model import PAGE_BYTES
from core.store.hashing import Contents

PT_LOAD = 1
HIGHEST_BYTES = 1 << 32  # of a physical address: a kernel loads far below


@dataclass(frozen=True)
class Segment:
    """A PT_LOAD segment: `size` bytes at `offset` of the file go to physical address `address`."""

    offset: int
    address: int
    size: int


class KernelPages:
    """A kernel's pages by physical page number. Raises Damaged when the file is no 64-bit ELF."""

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        except (OSError, ValueError) as error:
            raise Damaged(f"kernel {path} cannot be read: {error}") from error
        try:
            self.segments = _segments(self._data)
        except (struct.error, ValueError) as error:
            raise Damaged(f"kernel {path} is no ELF that loads: {error}") from error

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
        plain = np.frombuffer(self._data, np.uint8)
        for segment in self.segments:
            first, end = -(-segment.address // PAGE_BYTES), (segment.address + segment.size) // PAGE_BYTES
            whole = (places >= first) & (places < end)
            if whole.any():
                at = segment.offset + first * PAGE_BYTES - segment.address
                pages = plain[at : at + (end - first) * PAGE_BYTES].reshape(-1, PAGE_BYTES)
                out[whole] = pages[places[whole] - first]
            touched = (starts + PAGE_BYTES > segment.address) & (starts < segment.address + segment.size)
            for row in np.flatnonzero(touched & ~whole).tolist():
                low = max(int(starts[row]), segment.address)
                high = min(int(starts[row]) + PAGE_BYTES, segment.address + segment.size)
                to, source = low - int(starts[row]), low - segment.address + segment.offset
                out[row, to : to + high - low] = plain[source : source + high - low]
        return out


def _segments(data: mmap.mmap) -> list[Segment]:
    if data[:5] != b"\x7fELF\x02":
        raise ValueError("wrong magic")
    (table,) = struct.unpack_from("<Q", data, 0x20)
    size, count = struct.unpack_from("<HH", data, 0x36)
    found = []
    for at in range(table, table + size * count, size):
        kind, offset, address, file_size = struct.unpack_from("<I4xQ8xQQ", data, at)
        if kind == PT_LOAD and file_size:
            if offset + file_size > len(data) or address + file_size > HIGHEST_BYTES:
                raise ValueError("a segment lies outside")
            found.append(Segment(offset, address, file_size))
    return found
