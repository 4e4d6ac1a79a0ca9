"""Links: which branches may talk to each other now, in the hub as the catalog says, and by which names.

A link is of two branches outside the trash, whether they have machines or not. So nothing is to be done when a machine
begins or ends: an address is its branch's for as long as there is that branch.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from core.engine.change import Change
from core.engine.context import Engine
from core.errors import VertuiError
from core.links import peers
from core.model import BranchState
from core.network.addresses import GUEST_ADDRESS, Pair, address_of

NO_CHANGE = Change()


def shown(engine: Engine) -> Mapping[str, tuple[str, ...]]:
    """The names of the branches that each is linked with, oldest first, by its id; none of those in the trash."""
    if not (links := engine.catalog.links()):
        return {}
    rows, theirs = engine.catalog.branches(), peers(links)
    named = {row.id: tuple(one.name for one in rows if one.id in theirs.get(row.id, ())) for row in rows}
    return {id: names for id, names in named.items() if names}


def where(engine: Engine, branch: str, name: str) -> str | None:
    """Where a branch reaches the one of a name that it is linked with, or itself; None for any other."""
    row = engine.catalog.named(name)
    if row is None or not (theirs := peers(engine.catalog.links()).get(branch)):
        return None
    if row.id == branch:
        return GUEST_ADDRESS
    return address_of(row.number) if row.id in theirs else None


def who(engine: Engine, branch: str, address: str) -> str | None:
    """The name of the branch that another one, which is linked with it, reaches at an address; None for any other."""
    theirs = peers(engine.catalog.links()).get(branch, set())
    rows = (row for row in engine.catalog.branches() if row.id in theirs)
    return next((row.name for row in rows if address_of(row.number) == address), None)


async def settle(engine: Engine) -> None:
    """Make it as the catalog says."""
    await asyncio.to_thread(engine.network.set_pairs, _pairs(engine, NO_CHANGE))
    await look_for_asleep(engine)


async def look_for_asleep(engine: Engine) -> None:
    """Hear of it when somebody sends something to a linked branch that is suspended, as the catalog says now. Where the
    hub cannot be told, the next change tells it.
    """
    async with engine.machines.sleepers.told:
        if theirs := peers(engine.catalog.links()):
            rows = [row for row in engine.catalog.branches() if row.state is BranchState.SUSPENDED]
            wanted = frozenset(row.number for row in rows if row.id in theirs)
            with contextlib.suppress(VertuiError):
                await asyncio.to_thread(engine.network.set_asleep, wanted)


@asynccontextmanager
async def moved(engine: Engine, change: Change) -> AsyncIterator[None]:
    """Make it as it is to be after a change, which the body writes down. If that fails it is as before."""
    before, after = _pairs(engine, NO_CHANGE), _pairs(engine, change)
    if before == after:
        yield
        return
    await asyncio.to_thread(engine.network.set_pairs, after)
    try:
        engine.reach("link.let")
        yield
    except BaseException:
        with contextlib.suppress(VertuiError):  # the next change, or the next daemon, makes it so
            await asyncio.to_thread(engine.network.set_pairs, before)
        raise
    await look_for_asleep(engine)


def _pairs(engine: Engine, change: Change) -> frozenset[Pair]:
    """The pairs that may talk to each other after a change, by the indexes of their networks."""
    links = [link for link in (*engine.catalog.links(), *change.link) if link.id not in change.unlink]
    if not links:
        return frozenset()
    there = [*engine.catalog.branches(), *map(engine.catalog.branch, change.restore)]
    numbers = {row.id: row.number for row in there if row.id not in change.prune}
    return frozenset(
        (min(ends), max(ends))
        for link in links
        if len(ends := [numbers[id] for id in (link.one, link.other) if id in numbers]) == 2
    )
