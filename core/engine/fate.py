"""What became of a branch that somebody was following: the line to its machine says only that it ended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.engine.context import Engine, no_machine
from core.engine.live import Live
from core.errors import Conflict, GuestFailed, NotFound, VertuiError
from core.model import BranchState
from core.patience import patient

KNOWN_S = patient(2.0)  # a machine's line ends some milliseconds before it is known that the machine did
LOOK_S = 0.02
ALIVE = (BranchState.RUNNING, BranchState.PAUSED)


@asynccontextmanager
async def followed(engine: Engine, branch: str) -> AsyncIterator[Live]:
    """A branch's machine, to follow something in. When that fails because its line ended, what became of the branch is
    raised instead: NotFound if it was pruned, else Conflict, as for whoever asks for it afterwards.
    """
    live = engine.machine(branch)
    name, guests = engine.branch(branch).name, live.guests
    try:
        yield live
    except GuestFailed as error:
        if fate := await _fate(engine, live, name, guests):
            raise fate from error
        raise


async def _fate(engine: Engine, live: Live, name: str, guests: int) -> VertuiError | None:
    """What became of the branch; None when its machine still has the guest it had."""
    deadline = asyncio.get_running_loop().time() + KNOWN_S
    while True:
        known = _known(engine, live, name, guests)
        if known or not live.lost or asyncio.get_running_loop().time() > deadline:
            return known
        await asyncio.sleep(LOOK_S)


def _known(engine: Engine, live: Live, name: str, guests: int) -> VertuiError | None:
    if engine.catalog.name_of(live.branch) is None:
        return NotFound(f"{name} was pruned for good")
    row = engine.catalog.branch(live.branch)
    if row.deleted is not None:
        return NotFound(f"{row.name} was pruned: `vertui trash restore {row.name}` brings it back")
    now = engine.machines.live.get(row.id)
    if now is not None and (now is not live or live.guests != guests):
        return Conflict(f"{row.name} was restored: what ran in it before is gone")
    if now is None and row.state not in ALIVE:
        return no_machine(row)
    return None
