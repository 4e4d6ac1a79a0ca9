"""What a stopped machine holds that is unlike what is known of it, in this process's own memory."""

import mmap
import os
import random

import numpy as np

from core.machine.memory import GuestMemory
from core.machine.unlike import PIECE_PAGES, Known, known_contents, read_unlike
from core.model import PAGE_BYTES
from core.pages import runs_of

PAGES = 3 * PIECE_PAGES + 17


def test_what_differs_and_what_is_not_known_is_read() -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance = np.random.default_rng(seed)
    room = mmap.mmap(-1, PAGES * PAGE_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    there = np.frombuffer(room, np.uint8).reshape(PAGES, PAGE_BYTES)
    changed = np.sort(chance.choice(PAGES, PAGES // 2, replace=False))
    there[changed] = chance.integers(1, 256, (len(changed), PAGE_BYTES), np.uint8)
    pages = np.sort(chance.choice(PAGES, PAGES // 2, replace=False)).astype(np.uint32)
    table = there[pages].copy()
    unlike = np.sort(chance.choice(len(pages), 40, replace=False))
    table[unlike, chance.integers(0, PAGE_BYTES, 40)] ^= 1
    memory = GuestMemory(os.getpid(), there.ctypes.data, PAGES * PAGE_BYTES)
    runs, read = read_unlike(memory, Known(pages, table))
    wanted = np.union1d(pages[unlike], np.setdiff1d(changed, pages))
    assert np.array_equal(runs, runs_of(wanted.astype(np.uint32)))
    assert np.array_equal(read, there[wanted])
    nothing, empty = read_unlike(memory, Known(np.arange(PAGES, dtype=np.uint32), there.copy()))
    assert len(nothing) == len(empty) == 0


def test_known_contents_are_a_files() -> None:
    data = np.random.default_rng(1).integers(0, 256, (40, PAGE_BYTES), np.uint8)
    descriptor = os.memfd_create("vertui-test")
    try:
        os.write(descriptor, data.tobytes())
        pages = np.array([0, 1, 7, 8, 9, 39], np.uint32)
        known = known_contents(descriptor, pages)
    finally:
        os.close(descriptor)
    assert np.array_equal(known.table, data[pages])
