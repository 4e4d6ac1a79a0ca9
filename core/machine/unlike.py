"""Which pages of a stopped machine are unlike what they are thought to hold: what a hand-over has to bring along.

Hundreds of megabytes lie between `stop` and `cont` here, so that memory is read piece by piece into room that stays in
the processor's cache and compared by memcmp, by a thread a core.
"""

import ctypes
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from core.errors import MachineFailed
from core.linux import libc
from core.machine.memory import GuestMemory, changed_pages, read_pages
from core.model import PAGE_BYTES
from core.pages import Pages, Runs, Table, runs_of

PIECE_PAGES = 512  # 2 MiB, read and compared at once: most are alike whole
BLOCK_PAGES = 16  # compared at once in a piece that is not
THREADS = min(os.cpu_count() or 1, 4)

_memcmp = libc.memcmp
_memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]


@dataclass(frozen=True)
class Known:
    """What sorted pages (n,) are thought to hold: contents (n, 4096)."""

    pages: Pages
    table: Table


def known_contents(descriptor: int, pages: Pages) -> Known:
    """What a base image holds at these pages, which are in the page cache from then on."""
    table = np.empty((len(pages), PAGE_BYTES), np.uint8)
    row = 0
    for first, count in runs_of(pages).tolist():
        _read_exactly(descriptor, table[row : row + count], first * PAGE_BYTES)
        row += count
    return Known(pages, table)


def _read_exactly(descriptor: int, room: Table, offset: int) -> None:
    rest = room.reshape(-1)
    while len(rest):
        try:
            done = os.preadv(descriptor, [rest.data], offset)
        except OSError as error:
            raise MachineFailed(f"the new base image cannot be read: {error.strerror}") from error
        if not done:
            raise MachineFailed("the new base image is shorter than the guest's memory")
        rest, offset = rest[done:], offset + done


def read_unlike(memory: GuestMemory, known: Known) -> tuple[Runs, Table]:
    """The pages that are unlike `known`, and the changed ones that `known` lacks, with their contents. The machine must
    be stopped.
    """
    strange = np.setdiff1d(changed_pages(memory), known.pages, assume_unique=True)
    firsts = range(0, len(known.pages), PIECE_PAGES)
    with ThreadPoolExecutor(THREADS) as threads:
        parts = [threads.submit(_compare, memory, known, firsts[turn::THREADS]) for turn in range(THREADS)]
        found = [pair for part in parts for pair in part.result()]
    found.append((strange, read_pages(memory, strange)))
    pages, table = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.argsort(pages)
    return runs_of(pages[order]), table[order]


def _compare(memory: GuestMemory, known: Known, firsts: range) -> list[tuple[Pages, Table]]:
    """The unlike pages of some pieces."""
    room = np.empty((PIECE_PAGES, PAGE_BYTES), np.uint8)
    found = []
    for first in firsts:
        pages = known.pages[first : first + PIECE_PAGES]
        there, thought = room[: len(pages)], known.table[first : first + len(pages)]
        read_pages(memory, pages, there)
        rows = np.fromiter(_unlike(there, thought), np.int64)
        if len(rows):
            found.append((pages[rows], there[rows]))
    return found


def _unlike(some: Table, others: Table) -> Iterator[int]:
    """Rows in which two tables differ."""
    if not _memcmp(some.ctypes.data, others.ctypes.data, some.nbytes):
        return
    for first in range(0, len(some), BLOCK_PAGES):
        a, b = some[first : first + BLOCK_PAGES], others[first : first + BLOCK_PAGES]
        if _memcmp(a.ctypes.data, b.ctypes.data, a.nbytes):
            unlike = (a.view(np.uint64) != b.view(np.uint64)).any(axis=1)
            yield from (first + np.flatnonzero(unlike)).tolist()
