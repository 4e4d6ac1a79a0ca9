"""A commit's disk read from its page table: no layer file is needed."""

from types import TracebackType
from typing import Self

import numpy as np

from core.diff.disk import BLOCK_BYTES, Blocks, Bytes
from core.errors import Damaged, Unsupported
from core.store.protocol import DISK
from core.store.reader import PageReader


class TableDisk:
    """A `Disk` over a page table; a context manager. Damaged names commit and block."""

    def __init__(self, reader: PageReader, commit: str) -> None:
        self._reader, self._commit = reader, commit
        self._table = reader.table(commit, DISK)
        self.size = len(self._table) * BLOCK_BYTES

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is held open but the reader, which is not ours."""

    @property
    def name(self) -> str:
        """The commit whose disk it is."""
        return f"disk of commit {self._commit[:12]}"

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes at `offset`."""
        first, end = offset // BLOCK_BYTES, -(-(offset + length) // BLOCK_BYTES)
        start = offset - first * BLOCK_BYTES
        return self.read_blocks(np.arange(first, end)).reshape(-1)[start : start + length].tobytes()

    def read_blocks(self, block_numbers: Blocks) -> Bytes:
        """The named 4 KiB blocks, shape (n, 4096)."""
        if len(block_numbers) and not 0 <= block_numbers.min() <= block_numbers.max() < len(self._table):
            raise Damaged(f"{self.name} was asked for a block beyond its end")
        return self._reader.pages(self._commit, DISK, block_numbers, self._table[block_numbers])

    def changed_blocks(self, other: Self) -> Blocks:
        """Blocks that differ: ids are equal exactly when contents are, so nothing is read."""
        if self.size != other.size:
            raise Unsupported(f"{self.name} and {other.name} differ in size")
        return np.flatnonzero(self._table != other._table)
