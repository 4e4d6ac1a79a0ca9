"""A guest's clock, corrected from outside as NTP does it.

Every thaw tells a guest the time, and that is all it takes while answers come at once. A guest that was slow to listen
set its clock late; one whose host slept was told nothing. Then the clock is read a few times; the reading that took
the shortest is the one to trust, and the step it asks for is right however long it takes to get there. While even that
one took too long to tell, as on a host that is short of processors, the clock is read again a while later.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

from core.errors import GuestFailed
from core.guest import answers
from core.guest.client import AgentClient
from core.guest.streams import CommandExit
from core.patience import patient

PROMPT_S = 0.04
"""An answer within this time is exact enough: the promise is 50 ms."""

READINGS = 4
PAUSES_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Before each round of readings, of which one that is prompt is the last."""

DATE_DEADLINE_S = patient(10.0)


@dataclass(frozen=True)
class Reading:
    """How far the clock is behind ours, give or take `doubt_ns`, and which setting of it was read."""

    behind_ns: int
    doubt_ns: int
    origin_ns: int

    @property
    def prompt(self) -> bool:
        """Whether it leaves no doubt worth another."""
        return self.doubt_ns < PROMPT_S * 1e9 / 2


async def set_clock(agent: AgentClient) -> None:
    """Bring a running guest's clock to ours; a distance somebody there wants stays. GuestFailed if it cannot be."""
    for pause_s in PAUSES_S:
        await asyncio.sleep(pause_s)
        try:
            best = await _best_reading(agent)
        except GuestFailed:
            if agent.lost or agent.knows_keys:
                raise
            await _by_date(agent)
            return
        if abs(best.behind_ns) > best.doubt_ns:
            await agent.request(
                answers.ClockRead, "clock", advance_ns=best.behind_ns, origin_ns=best.origin_ns
            )
        if best.prompt:
            return


async def _best_reading(agent: AgentClient) -> Reading:
    readings: list[Reading] = []
    while len(readings) < READINGS:
        readings.append(await _read(agent))
        if readings[-1].prompt:
            break
    latest = [reading for reading in readings if reading.origin_ns == readings[-1].origin_ns]
    return min(latest, key=lambda reading: reading.doubt_ns)


async def _read(agent: AgentClient) -> Reading:
    began = time.monotonic_ns()
    answer = await agent.request(answers.ClockRead, "clock")
    took_ns = time.monotonic_ns() - began
    behind_ns = time.time_ns() - took_ns // 2 - (answer.unix_time_ns - answer.distance_ns)
    return Reading(behind_ns, took_ns // 2, answer.origin_ns)


async def _by_date(agent: AgentClient) -> None:
    """What an older image's guest can do. One without `date` goes without."""
    with suppress(GuestFailed):
        stream = await agent.exec(["date", "-s", f"@{time.time():.3f}"], timeout_s=DATE_DEADLINE_S)
        async for item in stream:
            if isinstance(item, CommandExit):
                await agent.release(stream.id)
