"""What branches try to reach and may not: told with the guest's word on who it is."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from msgspec.structs import replace

from core.engine.context import Engine
from core.engine.live import Live
from core.engine.refusals import TOLD_AGAIN_S
from core.engine.wanted_port import wanted_of
from core.errors import NotFound, VertuiError
from core.patience import patient
from core.reach import NOWHERE, Attempt, Traffic, covers, spelled

MOST_TOLD = 8  # refusals of a branch, at each look
ABOUT_S = 2.0  # the kernel tells about when something was refused
OWNER_S = patient(0.5)
"""How long a refusal may wait for the guest's word on who is refused: who has its answer may end."""


def live_at(engine: Engine, address: str) -> Live | None:
    """The branch's machine at an address of the hub's."""
    every = (live for live in engine.machines.live.values() if live.branch)
    return next((live for live in every if live.network.info.address == address), None)


async def refuse(engine: Engine, live: Live, one: Attempt, port: int, protocol: str) -> None:
    """Tell of an attempt from a port of the guest's, unless somebody was told of the like a moment ago."""
    if live.refused.is_news(one.to):
        live.refused.made_by(one.to, *await _owner(live, protocol, port))
        _say(engine, live, one)


async def refuse_name(
    engine: Engine, live: Live, name: str, port: int, protocol: str, wanted: int = 0
) -> None:
    """Count, and tell, that a name is not looked up which was asked for from a port of the guest's. Which TCP port is
    `wanted` of that name, some tell who ask; else it is guessed by what the guest tells of the program that does.
    """
    refused = live.refused
    asked = refused.asked_for(name, wanted)
    if not refused.is_news(asked):
        refused.add(asked)
        return
    pid, process = await _owner(live, protocol, port)
    if not asked.port:
        refused.expect(name, await wanted_of(live, name, pid), TOLD_AGAIN_S)
    one = refused.add(refused.asked_for(name, wanted))
    refused.made_by(one.to, pid, process)
    if one.to == asked or refused.is_news(one.to):
        _say(engine, live, one)


async def _owner(live: Live, protocol: str, port: int) -> tuple[int, str]:
    """Whose a port of the guest's is, by pid and name; nobody's where it does not say so soon."""
    with suppress(VertuiError, TimeoutError):
        async with asyncio.timeout(OWNER_S):
            return await (await live.agent()).owner(protocol, port, OWNER_S)
    return 0, ""


async def tell_refused(engine: Engine, counted: Mapping[int, Traffic]) -> None:
    """Tell of what branches were refused since the last look."""
    now = {live: counted.get(live.network.index, Traffic()).refused for live in engine.machines.live.values()}
    other = [live for live, refused in now.items() if refused != live.refused.seen and live.branch]
    found = await asyncio.to_thread(engine.network.refused) if other else {}
    for live in other:
        since, live.refused.looked = live.refused.looked - ABOUT_S, time.time()
        live.refused.seen, reach = now[live], live.network.reach or NOWHERE
        for one in reversed(named(live, found)[:MOST_TOLD]):
            if one.last > since and not covers(reach, one.to) and live.refused.is_news(one.to):
                _say(engine, live, one)


def named(live: Live, found: Mapping[int, Sequence[Attempt]]) -> list[Attempt]:
    """What was refused to a branch's packets, with names where they are known, the latest first."""
    ties = live.network.ties
    told = [
        live.refused.with_process(replace(one, host=ties.name_of(one.host) or one.host))
        for one in found.get(live.network.index, ())
    ]
    return sorted(told, key=lambda one: -one.last)


def _say(engine: Engine, live: Live, one: Attempt) -> None:
    """Tell that a branch was refused something, and who tried."""
    one = live.refused.newest = live.refused.with_process(one)
    with suppress(NotFound):  # the branch is gone meanwhile
        name, by = engine.catalog.branch(live.branch).name, f", tried by {one.process}" if one.process else ""
        engine.events.publish("branch", name, f"{name} may not reach {spelled(one.to)}{by}", refused=one)
        engine.shows_other(live.branch)
