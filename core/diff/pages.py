"""Which pages of memory differ between two states over one base image, and where they lie: a heat map."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.machine.memory import Pages, Table
from core.model import PAGE_BYTES

COLUMNS = 64
_ROWS = 16  # a 512 MiB guest then has 512 KiB a cell
_BATCH_PAGES = 4096  # compared at a time: 16 MiB a side


@dataclass(frozen=True)
class HeatMap:
    """How many pages of each equally large region differ, lowest addresses first."""

    pages: int
    cell_pages: int
    cells: tuple[int, ...]

    @property
    def changed(self) -> int:
        """Pages that differ in all."""
        return sum(self.cells)

    def as_json(self) -> dict[str, Any]:
        """`{"pages", "page_bytes", "changed_pages", "columns", "cell_pages", "cells": [changed pages]}`."""
        return {
            "pages": self.pages,
            "page_bytes": PAGE_BYTES,
            "changed_pages": self.changed,
            "columns": COLUMNS,
            "cell_pages": self.cell_pages,
            "cells": list(self.cells),
        }


def differing_pages(a: tuple[Pages, Table], b: tuple[Pages, Table]) -> Pages:
    """Numbers of the pages that differ. Each state is its pages over the base, none of them equal to the base's."""
    shared, in_a, in_b = np.intersect1d(a[0], b[0], assume_unique=True, return_indices=True)
    changed = [np.setxor1d(a[0], b[0], assume_unique=True)]
    for start in range(0, len(shared), _BATCH_PAGES):
        part = slice(start, start + _BATCH_PAGES)
        differs = (a[1][in_a[part]] != b[1][in_b[part]]).any(axis=1)
        changed.append(shared[part][differs])
    found: Pages = np.sort(np.concatenate(changed)).astype(np.uint32)
    return found


def heat_map(changed: Pages, memory_bytes: int) -> HeatMap:
    """Count changed pages by region."""
    pages = memory_bytes // PAGE_BYTES
    cell_pages = max(1, -(-pages // (COLUMNS * _ROWS)))
    cells: NDArray[np.int64] = np.bincount(changed // cell_pages, minlength=-(-pages // cell_pages))
    return HeatMap(pages, cell_pages, tuple(cells.tolist()))
