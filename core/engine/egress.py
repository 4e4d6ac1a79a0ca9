"""Egress: what of the outside each branch may reach, looked up and carried out."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from msgspec.structs import replace

from core.engine import attempts
from core.engine.context import Engine
from core.engine.live import Live
from core.errors import VertuiError
from core.model import Outward
from core.reach import Reach, ReachMode, Traffic


async def move(engine: Engine, branch: str, reach: Reach) -> Reach:
    """Let a branch reach this from now on, whether it runs or not; what it could reach before. What stays allowed goes
    on. On failure nothing has changed.
    """
    former, live = engine.catalog.branch(branch).egress, engine.machines.live.get(branch)
    if live is None:
        engine.catalog.change_branch(branch, egress=reach)
        return former
    async with live.reaching:
        await _let(engine, live, reach)
        try:
            engine.reach("egress.let")
            engine.catalog.change_branch(branch, egress=reach)
        except VertuiError:
            await _let(engine, live, former)
            raise
        live.refused.settle(reach)
    engine.tasks.outside.settle()
    return former


async def move_all(engine: Engine, reaches: Mapping[str, Reach]) -> dict[str, Reach]:
    """The same of several branches; on failure no branch's has changed, as far as that can be had."""
    former: dict[str, Reach] = {}
    try:
        for branch, reach in reaches.items():
            former[branch] = await move(engine, branch, reach)
    except VertuiError:
        for branch, reach in former.items():
            with suppress(VertuiError):
                await move(engine, branch, reach)
        raise
    return former


async def prepare(engine: Engine, live: Live) -> None:
    """Let a machine whose frames do not pass yet reach what its branch may once they do."""
    async with live.reaching:
        await _let(engine, live, engine.catalog.branch(live.branch).egress)


async def _let(engine: Engine, live: Live, reach: Reach) -> None:
    if reach.mode is not ReachMode.OFF:
        await engine.tasks.outside.open()
    if reach != live.network.reach:
        await asyncio.to_thread(live.network.set_reach, reach)


async def outward(engine: Engine, name: str) -> Outward:
    """What a branch may reach, what it did, and what it was refused, the latest first."""
    row = engine.branch(name)
    live = engine.machines.live.get(row.id)
    if live is None:
        return Outward(row.name, row.egress, Traffic())
    counted, found = await asyncio.gather(traffic(engine), asyncio.to_thread(engine.network.refused))
    refused = sorted((*attempts.named(live, found), *live.refused.names), key=lambda one: -one.last)
    return Outward(row.name, row.egress, counted.get(live.network.index, Traffic()), tuple(refused))


async def traffic(engine: Engine) -> Mapping[int, Traffic]:
    """What went between each live branch and the outside, by the index of its network."""
    if not engine.machines.live:
        return {}
    found = dict(await asyncio.to_thread(engine.network.traffic))
    for live in engine.machines.live.values():
        if names := live.refused.count:
            index = live.network.index
            counted = found.get(index, Traffic())
            found[index] = replace(counted, refused=counted.refused + names)
    return found
