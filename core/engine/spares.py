"""Spares that become children: they run first, and are written down right after."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from core.engine.context import Engine
from core.engine.members import Warm
from core.engine.warm import end_warm
from core.errors import MachineFailed


@dataclass(frozen=True)
class Running:
    """A spare that was continued, and how long after `began` that was."""

    warm: Warm
    run_ms: float


@asynccontextmanager
async def running(engine: Engine, commit: str, count: int, began: float) -> AsyncIterator[list[Running]]:
    """Let `count` spares of a commit run; none when there are fewer, or when memory is short.

    Their processes are frozen and their links down. Those that were given to no branch are ended when the body is left.
    After a crash, the daemon's recovery ends those that no row names.
    """
    spares = engine.machines.members.claim_spares(commit, count) if engine.machines.members.roomy else []
    try:
        children = await _run_all(spares, began)
        yield children if len(children) == count else []
    finally:
        left = [warm for warm in spares if engine.machines.members.claimed.get(warm.machine.id) is warm]
        await asyncio.gather(*(end_warm(engine, warm) for warm in left))


async def _run_all(spares: list[Warm], began: float) -> list[Running]:
    """Continue these; those that could be. A single one is continued without the tasks that several need."""
    if len(spares) == 1:
        with suppress(MachineFailed):
            return [await _run(spares[0], began)]
        return []
    results = await asyncio.gather(*(_run(warm, began) for warm in spares), return_exceptions=True)
    return [result for result in results if isinstance(result, Running)]


async def _run(warm: Warm, began: float) -> Running:
    await warm.machine.cont()
    return Running(warm, (time.perf_counter() - began) * 1000)
