"""Wake: a suspended branch is started from its head because somebody needs it, who waits for that and is served.

Whoever only looks (`ls`, `ps`, a diff, the console) wakes nobody. Nothing of this can be undone: the branch is as it
was when it was suspended, and goes on.
"""

import asyncio
import time

from core.catalog_values import BranchRow
from core.engine.context import Engine
from core.engine.memory import check_room
from core.engine.operations import operation
from core.engine.start import start_again
from core.errors import Conflict, NotFound, VertuiError
from core.model import BranchState, new_key

TIRED_S = 10.0  # guests ask again within seconds


async def wake(engine: Engine, branch: str, why: str) -> None:
    """Start a branch, by its id, if it is suspended, or is being; many who need it at once start it once. What is in
    any other state stays as it is, or is no branch. Raises why it cannot be started.
    """
    await engine.machines.sleepers.settled(branch)
    if (waking := engine.machines.sleepers.waking.get(branch)) is None:
        if _asleep(engine, branch) is None:
            return
        waking = asyncio.create_task(_woken(engine, branch, why))
        engine.machines.sleepers.waking[branch] = waking
        waking.add_done_callback(lambda _: engine.machines.sleepers.waking.pop(branch, None))
        waking.add_done_callback(lambda task: task.cancelled() or task.exception())  # maybe all have left
    await asyncio.shield(waking)


async def wake_named(engine: Engine, name: str, why: str) -> None:
    """The same of a branch by its name, or of the trunk."""
    await wake(engine, engine.branch(name).id, why)


async def wake_linked(engine: Engine, branch: str, why: str) -> None:
    """The same for a guest that is linked with it, and may ask as often as it likes: one that did not start is left
    alone for some seconds, as each attempt is an operation.
    """
    if branch not in engine.machines.live and time.monotonic() < engine.machines.sleepers.tired.get(
        branch, 0.0
    ):
        raise Conflict(f"{engine.catalog.name_of(branch)} did not wake a moment ago")
    try:
        await wake(engine, branch, why)
    except VertuiError:
        engine.machines.sleepers.tired[branch] = time.monotonic() + TIRED_S
        raise


def is_due(engine: Engine, branch: str) -> bool:
    """Would `wake` start it, or wait for it?"""
    if branch in engine.machines.sleepers.turning or branch in engine.machines.sleepers.waking:
        return True
    return branch not in engine.machines.live and _asleep(engine, branch) is not None


def _asleep(engine: Engine, branch: str) -> BranchRow | None:
    """A branch that is suspended, and may be woken."""
    try:
        row = engine.catalog.branch(branch)
    except NotFound:
        return None
    awakes = row.deleted is None and not engine.machines.sleepers.resting
    return row if awakes and row.state is BranchState.SUSPENDED else None


async def _woken(engine: Engine, branch: str, why: str) -> None:
    request_id, name = new_key(), engine.catalog.name_of(branch)
    with engine.verbs.working(request_id, "wake"):
        async with operation(engine, request_id, "wake", f"wake {name}: {why}", wakes=(branch,)):
            try:
                await check_room(engine, 1)
                if (row := _asleep(engine, branch)) is not None:  # it may have been resumed meanwhile
                    await start_again(engine, row)
            except VertuiError as error:
                if _asleep(engine, branch) is not None:
                    engine.set_branch(branch, reason=f"does not wake: {error}")
                raise
