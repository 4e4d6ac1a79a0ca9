"""Which pages of memory differ between two states, and where they lie: a heat map."""

import numpy as np
from numpy.typing import NDArray

from core.diff.result import HeatMap
from core.model import PAGE_BYTES
from core.pages import Pages
from core.store.hashing import Hashes

COLUMNS = 64
_ROWS = 16  # a 512 MiB guest then has 512 KiB a cell


def differing_pages(a: Hashes, b: Hashes) -> Pages:
    """Numbers of the pages that differ, from the hash of every page of two states, each of shape (n, 32)."""
    found: Pages = np.flatnonzero((a != b).any(axis=1)).astype(np.uint32)
    return found


def heat_map(changed: Pages, memory_bytes: int) -> HeatMap:
    """Count changed pages by region."""
    pages = memory_bytes // PAGE_BYTES
    cell_pages = max(1, -(-pages // (COLUMNS * _ROWS)))
    cells: NDArray[np.int64] = np.bincount(changed // cell_pages, minlength=-(-pages // cell_pages))
    return HeatMap(pages, PAGE_BYTES, len(changed), COLUMNS, cell_pages, tuple(cells.tolist()))
