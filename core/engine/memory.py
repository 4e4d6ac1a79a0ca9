"""What memory there is, what processes take of it, and whether more of them would fit."""

import asyncio
import contextlib

import psutil

from core.engine.context import Engine
from core.engine.live import Live
from core.engine.warm import end_warm
from core.errors import NoRoom
from core.naming import MemoryRoom

CHILD_BYTES = 60 * 1000 * 1000  # what a child takes besides its delta, after its first exec under emulation
BUDGET_SHARE = 0.9  # of the memory the kernel calls available; the rest is for page cache and everybody else


def available_bytes() -> int:
    """Memory the kernel would give without swapping."""
    return psutil.virtual_memory().available


def pss_bytes(pid: int) -> int:
    """What a process takes, its share of shared pages counted; 0 when it has ended."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).memory_full_info().pss
    return 0


async def room(engine: Engine, ref: str) -> MemoryRoom:
    """What a child of this REF would take, and what there is."""
    branch = engine.resolve(ref).branch
    live = engine.machines.live.get(engine.branch(branch).id) if branch else None
    changed = await live.machine.changed_bytes() if live else 0
    return MemoryRoom(CHILD_BYTES + changed, int(available_bytes() * BUDGET_SHARE))


async def check_room(engine: Engine, n: int, live: Live | None = None) -> None:
    """NoRoom, before anything starts, when `n` branches, children of `live` if it is given, would not fit in memory."""
    free = int(available_bytes() * BUDGET_SHARE)
    each = CHILD_BYTES
    if live:
        spec = engine.image(engine.catalog.branch(live.branch).image).spec
        if n * (each + spec.memory_bytes) <= free:  # to look what it has changed takes a millisecond
            return
        each += await live.machine.changed_bytes()
    if n * each > free and engine.machines.members.waiting:  # what waits goes first when memory is short
        await asyncio.gather(*(end_warm(engine, warm) for warm in list(engine.machines.members.waiting)))
        free = int(available_bytes() * BUDGET_SHARE)
    if n * each > free:
        raise NoRoom(
            f"{n} branches need {n * each >> 20} MiB of memory, {free >> 20} MiB are free: {free // each} would fit"
        )
