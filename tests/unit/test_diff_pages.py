"""Changed pages of memory: counted once each, and shown by region."""

import mmap
import os

import numpy as np
import pytest

from core.diff.pages import differing_pages, heat_map
from core.machine.memory import GuestMemory, changed_pages
from core.model import PAGE_BYTES
from core.store.hashing import Hashes

MEMORY_BYTES = 512 << 20


def test_scattered_pages_are_found_once_each() -> None:
    """More runs than one call to the kernel returns."""
    written = np.unique(np.random.default_rng(1).integers(0, MEMORY_BYTES // PAGE_BYTES, 40_000))
    descriptor = os.memfd_create("vertui-test")
    try:
        os.ftruncate(descriptor, MEMORY_BYTES)
        with mmap.mmap(descriptor, MEMORY_BYTES, mmap.MAP_PRIVATE) as room:
            pages = np.frombuffer(room, np.uint8).reshape(-1, PAGE_BYTES)
            address = pages.ctypes.data
            np.ndarray(pages.shape, np.uint8, buffer=room)[written, 0] = 1
            found = changed_pages(GuestMemory(os.getpid(), address, MEMORY_BYTES))
            del pages
    finally:
        os.close(descriptor)
    assert np.array_equal(found, written)


def state(*pages: int, value: int = 1) -> Hashes:
    """Hashes of a memory whose pages are zero but for some."""
    hashes = np.zeros((MEMORY_BYTES // PAGE_BYTES, 32), np.uint8)
    hashes[list(pages), 7] = value
    return hashes


@pytest.mark.parametrize(
    ("a", "b", "differing"),
    [
        (state(), state(), []),
        (state(1, 5), state(1, 5), []),
        (state(1, 5), state(5, 70_000), [1, 70_000]),
        (state(1, 5), state(1, 5, value=2), [1, 5]),
        (state(), state(131_071), [131_071]),
    ],
)
def test_pages_differ(a: Hashes, b: Hashes, differing: list[int]) -> None:
    assert differing_pages(a, b).tolist() == differing_pages(b, a).tolist() == differing
    heat = heat_map(differing_pages(a, b), MEMORY_BYTES)
    assert heat.changed_pages == len(differing)
    assert [cell for cell, count in enumerate(heat.cells) if count] == sorted(
        {page // 128 for page in differing}
    )
    assert (len(heat.cells), heat.cell_pages) == (1024, 128)
