"""Pages of a guest's memory as arrays: their numbers, runs of neighbours, and what they hold."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pages = NDArray[np.uint32]
"""Page numbers, shape (n,)."""
Runs = NDArray[np.int64]
"""Neighbouring pages, shape (n, 2): the first page and the count of each run."""
Table = NDArray[np.uint8]
"""What pages hold, shape (n, 4096)."""


def numbers(runs: Runs) -> Pages:
    """Every page of the runs."""
    counts = runs[:, 1]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    pages: Pages = (np.repeat(runs[:, 0], counts) + within).astype(np.uint32)
    return pages


def runs_of(pages: NDArray[np.integer[Any]]) -> Runs:
    """Runs of neighbouring pages, (first page, count) each, in the order of `pages`."""
    firsts = np.concatenate([[0], np.flatnonzero(np.diff(pages) != 1) + 1]) if len(pages) else pages[:0]
    counts = np.diff(np.concatenate([firsts, [len(pages)]]))
    return np.stack([pages[firsts], counts], axis=1).astype(np.int64)
