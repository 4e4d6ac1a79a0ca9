"""Guest memory from outside: which pages a process changed over its base image, read and written in bulk.

A machine maps its base MAP_PRIVATE, so a changed page is an anonymous one.
Sources: Linux Documentation/admin-guide/mm/pagemap.rst
(PAGEMAP_SCAN, Linux 6.7, and the older pagemap file), process_vm_readv(2).
"""

import ctypes
import errno
import fcntl
import mmap
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import MachineFailed
from core.files import want_of_means
from core.linux import checked, libc
from core.model import PAGE_BYTES
from core.pages import Pages, Runs, Table, numbers, runs_of

Arena = mmap.mmap

PAGEMAP_SCAN = 0xC0606610  # _IOWR('f', 16, struct pm_scan_arg)
PAGE_IS_FILE, PAGE_IS_PRESENT, PAGE_IS_SWAPPED = 1 << 2, 1 << 3, 1 << 4
ARENA_SPARE_PAGES = 1024  # what may change between the count before the pause and the pause
SCAN_REGIONS = 8192  # regions returned by one ioctl; the scan goes on where it stopped
SCAN_ARGUMENT = struct.Struct("<12Q")
REGION = np.dtype([("start", "<u8"), ("end", "<u8"), ("categories", "<u8")])
IOVEC = np.dtype([("base", "<u8"), ("length", "<u8")])
MOST_IOVECS = 1024  # UIO_MAXIOV
MADV_POPULATE_WRITE = 23
PAGEMAP_FILE_BIT, PAGEMAP_PRESENT_BITS = 61, 3 << 62


@dataclass(frozen=True)
class GuestMemory:
    """Where a process maps its guest's RAM: physical address 0 of the guest lies at `start`."""

    pid: int
    start: int
    size_bytes: int


def find_memory(pid: int, inode: int, size_bytes: int) -> GuestMemory:
    """The mapping of the base image with this inode in a process. MachineFailed when it is not mapped whole."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_bytes().rstrip(b"\n").split(b"\n")
    except OSError as error:
        failure = MachineFailed(f"machine process {pid} has ended")
        raise want_of_means(error, f"/proc/{pid}/maps") or failure from error
    start = end = 0
    for line in lines:
        span, _, offset, _, number = line.split(maxsplit=5)[:5]
        if int(number) != inode:
            continue
        low, high = (int(part, 16) for part in span.split(b"-"))
        if int(offset, 16) == 0:
            start, end = low, high
        elif low == end:
            end = high
    if end - start != size_bytes:
        raise MachineFailed(f"machine process {pid} does not map its base image whole")
    return GuestMemory(pid, start, size_bytes)


def touched_runs(memory: GuestMemory) -> Runs:
    """Runs of pages that the process has mapped, changed or not: what its guest works with."""
    try:
        return _scan(memory, 0, 0)
    except OSError:  # an older kernel does not tell which pages were only read
        return changed_runs(memory)


def changed_pages(memory: GuestMemory) -> Pages:
    """Numbers of the pages that differ, or may differ, from the base: sorted."""
    return numbers(changed_runs(memory))


def changed_runs(memory: GuestMemory) -> Runs:
    """The same as runs, (first page, count) each: all that a capture has to know of them while the machine stands
    still.
    """
    try:
        return _scan(memory)
    except OSError as error:
        if error.errno not in (errno.ENOTTY, errno.EINVAL):
            failure = MachineFailed(f"cannot scan machine process {memory.pid}: {error.strerror}")
            raise want_of_means(error, f"machine process {memory.pid}") or failure from error
        return runs_of(_read_pagemap(memory))


def _scan(memory: GuestMemory, inverted: int = PAGE_IS_FILE, required: int = PAGE_IS_FILE) -> Runs:
    """PAGEMAP_SCAN: every run of pages that are present or swapped out and, by default, are not the file's."""
    regions = np.zeros(SCAN_REGIONS, REGION)
    found: list[Runs] = []
    position, end = memory.start, memory.start + memory.size_bytes
    descriptor = os.open(f"/proc/{memory.pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    try:
        while position < end:
            any_of = PAGE_IS_PRESENT | PAGE_IS_SWAPPED
            argument = bytearray(
                SCAN_ARGUMENT.pack(96, 0, position, end, 0, regions.ctypes.data, SCAN_REGIONS, 0,
                                   inverted, required, any_of, PAGE_IS_PRESENT)
            )  # fmt: skip
            count = fcntl.ioctl(descriptor, PAGEMAP_SCAN, argument, True)
            runs = regions[:count]
            position = SCAN_ARGUMENT.unpack(argument)[4]
            if count:  # some kernels report an end before the last run's when the array is full
                position = max(position, int(runs["end"][-1]))
            first = (runs["start"] - np.uint64(memory.start)) // np.uint64(PAGE_BYTES)
            pages = (runs["end"] - runs["start"]) // np.uint64(PAGE_BYTES)
            found.append(np.stack([first, pages], axis=1).astype(np.int64))
    finally:
        os.close(descriptor)
    return np.concatenate(found)


def _read_pagemap(memory: GuestMemory) -> Pages:
    """The older way: one 64-bit entry a page; bit 61 clear means anonymous."""
    try:
        with Path(f"/proc/{memory.pid}/pagemap").open("rb", buffering=0) as file:
            file.seek(memory.start // PAGE_BYTES * 8)
            entries = np.frombuffer(file.read(memory.size_bytes // PAGE_BYTES * 8), "<u8")
    except OSError as error:
        raise MachineFailed(f"cannot scan machine process {memory.pid}: {error.strerror}") from error
    present = (entries & np.uint64(PAGEMAP_PRESENT_BITS)) != 0
    anonymous = (entries >> np.uint64(PAGEMAP_FILE_BIT)) & np.uint64(1) == 0
    return np.flatnonzero(present & anonymous).astype(np.uint32)


def resident_pages(descriptor: int) -> NDArray[np.bool_]:
    """Which pages of a file, opened for reading and writing, are in the page cache. Source: mincore(2)."""
    with mmap.mmap(descriptor, 0, mmap.MAP_PRIVATE, mmap.PROT_READ) as room:
        whole = np.frombuffer(room, np.uint8)
        found = np.zeros(len(whole) // PAGE_BYTES, np.uint8)
        span = ctypes.c_void_p(whole.ctypes.data), ctypes.c_size_t(len(whole))
        checked(libc.mincore(*span, ctypes.c_void_p(found.ctypes.data)), "mincore")
        del whole
        return (found & 1).astype(bool)


def arena_for(memory: GuestMemory) -> Arena:
    """Room for what a machine that runs on will have changed a little later."""
    return _arena(len(changed_pages(memory)) + ARENA_SPARE_PAGES)


def read_changed(memory: GuestMemory, arena: Arena) -> tuple[Runs, Table]:
    """The changed runs and their contents, shape (pages, 4096), in `arena` if they fit. The machine must be stopped."""
    runs = changed_runs(memory)
    pages = int(runs[:, 1].sum())
    size = pages * PAGE_BYTES
    room = arena if len(arena) >= size else _arena(pages)
    table = np.frombuffer(room, np.uint8, count=size).reshape(-1, PAGE_BYTES)
    _transfer(libc.process_vm_readv, memory, runs, table)
    return runs, table


def _arena(pages: int) -> Arena:
    """Memory that is faulted in already: reading into fresh memory costs four times as much.

    Not by MAP_POPULATE, because mmap.mmap holds the interpreter's lock meanwhile. Before Linux 5.14 the memory is
    faulted in when it is first used.
    """
    room = mmap.mmap(-1, max(pages, 1) * PAGE_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    whole = np.frombuffer(room, np.uint8)
    libc.madvise(ctypes.c_void_p(whole.ctypes.data), ctypes.c_size_t(len(whole)), MADV_POPULATE_WRITE)
    return room


def read_pages(memory: GuestMemory, pages: Pages, room: Table | None = None) -> Table:
    """Contents (n, 4096) of sorted pages of a machine that is stopped, in `room` if there is one."""
    table = np.empty((len(pages), PAGE_BYTES), np.uint8) if room is None else room
    _transfer(libc.process_vm_readv, memory, runs_of(pages), table)
    return table


def own_pages(memory: GuestMemory, pages: Pages) -> None:
    """Give a machine that is not running its own (anonymous) copies of these sorted pages; their contents stay."""
    write_pages(memory, pages, read_pages(memory, pages))


def write_pages(memory: GuestMemory, pages: Pages, table: Table) -> None:
    """Write contents of shape (n, 4096) over sorted `pages` of a machine that is not running."""
    _transfer(libc.process_vm_writev, memory, runs_of(pages), np.ascontiguousarray(table))


def _transfer(call: Callable[..., int], memory: GuestMemory, runs: Runs, table: Table) -> None:
    """Move whole runs, at most 1,024 a call."""
    remote = np.empty(len(runs), IOVEC)
    remote["base"] = memory.start + runs[:, 0] * PAGE_BYTES
    remote["length"] = runs[:, 1] * PAGE_BYTES
    local = np.zeros(1, IOVEC)
    position = table.ctypes.data
    for first in range(0, len(remote), MOST_IOVECS):
        batch = remote[first : first + MOST_IOVECS]
        size = int(batch["length"].sum())
        local[0] = (position, size)
        moved = call(
            memory.pid,
            ctypes.c_void_p(local.ctypes.data),
            ctypes.c_ulong(1),
            ctypes.c_void_p(batch.ctypes.data),
            ctypes.c_ulong(len(batch)),
            ctypes.c_ulong(0),
        )
        if moved != size:
            reason = os.strerror(ctypes.get_errno()) if moved < 0 else "it ended midway"
            raise MachineFailed(f"cannot reach the memory of machine process {memory.pid}: {reason}")
        position += size
