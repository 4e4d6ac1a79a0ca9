"""What the store holds of a commit, counted beside the product's own accounts: for tests and benchmarks."""

import numpy as np

from core.home import Home
from core.model import PAGE_BYTES
from core.store.index import split
from core.store.protocol import MEMORY
from core.store.reader import PageReader


def memory_bytes(home: Home, commit: str) -> int:
    """What a commit's memory takes where it is stored: its share of frames, and pages of the image's files."""
    reader = PageReader(home.root)
    try:
        ids = np.unique(reader.table(commit, MEMORY))
        packs, rows = split(reader.index.locate(ids[ids != 0]))
        total = 0.0
        for number in set(packs.tolist()):
            outline, mine = reader.shelf.pack(number).outline, packs == number
            shares = outline.frame_bytes / (outline.frame_sizes / PAGE_BYTES)
            total += (
                PAGE_BYTES * mine.sum() if outline.source else shares[rows[mine] // outline.frame_pages].sum()
            )
        return round(total)
    finally:
        reader.close()
