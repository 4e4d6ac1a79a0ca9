"""A disk read from a commit's page table, and what a machine wrote over it."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from core.disk.blocks import BLOCK_BYTES, Blocks, Bytes
from core.disk.qcow2 import OverlayStack
from core.errors import Damaged, Unsupported
from core.store.pack import Ids
from core.store.reader import PageReader
from core.store.values import DISK

_COMPARE_BLOCKS = 1024  # 4 MiB of each side at a time


class TableDisk:
    """A `Disk` over a page table under qcow2 layers; a context manager. Damaged names commit and block, or the file."""

    def __init__(self, reader: PageReader, commit: str, layers: Sequence[Path] = ()) -> None:
        self.torn = False  # may a part of what was written last not be there?
        self._reader, self._commit = reader, commit
        self._table: Ids = reader.table(commit, DISK)
        self.size = len(self._table) * BLOCK_BYTES
        self._stack = OverlayStack(layers, self.size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the layers; the reader is not ours. Harmless when repeated."""
        self._stack.close()

    @property
    def name(self) -> str:
        """The commit whose disk it is, or that it began as."""
        return f"disk {'over' if self._stack.overlays else 'of'} commit {self._commit[:12]}"

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes at `offset`."""
        first, end = offset // BLOCK_BYTES, -(-(offset + length) // BLOCK_BYTES)
        start = offset - first * BLOCK_BYTES
        return self.read_blocks(np.arange(first, end)).reshape(-1)[start : start + length].tobytes()

    def read_blocks(self, block_numbers: Blocks) -> Bytes:
        """The named 4 KiB blocks, shape (n, 4096)."""
        if len(block_numbers) and not 0 <= block_numbers.min() <= block_numbers.max() < len(self._table):
            raise Damaged(f"{self.name} was asked for a block beyond its end")
        if not self._stack.overlays:
            return self._stored(block_numbers)
        out = np.empty((len(block_numbers), BLOCK_BYTES), np.uint8)
        rows = self._stack.gather(block_numbers, out)
        out[rows] = self._stored(block_numbers[rows])
        return out

    def changed_blocks(self, other: Self) -> Blocks:
        """Blocks that differ. Ids are equal exactly when contents are, so only what lies in layers is read."""
        if self.size != other.size:
            raise Unsupported(f"{self.name} and {other.name} differ in size")
        written = np.union1d(self._stack.written_blocks(), other._stack.written_blocks())
        stored = np.setdiff1d(np.flatnonzero(self._table != other._table), written, assume_unique=True)
        parts = [written[at : at + _COMPARE_BLOCKS] for at in range(0, len(written), _COMPARE_BLOCKS)]
        differing = [part[(self.read_blocks(part) != other.read_blocks(part)).any(axis=1)] for part in parts]
        return np.sort(np.concatenate([stored, *differing]))

    def _stored(self, block_numbers: Blocks) -> Bytes:
        return self._reader.pages(self._commit, DISK, block_numbers, self._table[block_numbers])
