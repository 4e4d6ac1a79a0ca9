"""Suspend: a branch's machine committed and ended. It takes neither memory nor processor until somebody needs it.

    while it runs on   wait for room for a commit
    while it stands    freeze, stop, read; seal the commit; write the row
    afterwards         end the process; its network goes in the background

It stands still from its capture on, as what it did after that would be lost. Until the row is written it runs on if
anything fails. Who needs the branch meanwhile waits, and wakes it (`core.engine.wake`).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from core.catalog_values import BranchRow
from core.checkpoints import Trigger
from core.engine import capture, idle
from core.engine.attending import attend
from core.engine.change import Change, Was
from core.engine.checkpoints import policy_of
from core.engine.context import Engine, no_machine
from core.engine.exchange import stopped
from core.engine.live import Live
from core.engine.operations import operation
from core.engine.start import end
from core.engine.thinning import thin
from core.errors import Conflict, NotFound, VertuiError
from core.model import BranchState, Event, new_key

MESSAGE = "suspend"
AGAIN_S = 60.0  # until one that could not be suspended by itself is tried again


async def suspend(engine: Engine, request_id: str, name: str) -> BranchRow:
    """Suspend a branch that runs or is paused. On failure it goes on as it was; undo starts it again."""
    row, live = engine.branch(name), engine.machine(name)
    async with operation(engine, request_id, "suspend", f"suspend {row.name}") as record:
        record.inverse = await fall_asleep(engine, live)
        asleep = engine.catalog.branch(row.id)
        record.summary = f"suspend {row.name} as {asleep.head[:12]}"
    return asleep


async def fall_asleep(
    engine: Engine, live: Live, reason: str = "", unless: Callable[[], bool] = lambda: False
) -> Change:
    """Suspend a machine; what makes it run again as it was. Conflict if somebody needs it after all, as `unless` tells
    once no more can come.
    """
    await engine.tasks.sealer.room(live)
    async with live.lock:
        with engine.machines.sleepers.turn(live.branch):
            row = engine.catalog.branch(live.branch)
            if live.ended or live.closing:
                raise no_machine(row)
            if unless():
                raise Conflict(f"{row.name} is needed after all")
            async with stopped(live):
                head = (await capture.save(engine, live, MESSAGE, Trigger.SUSPEND)).id
                engine.reach("suspend.committed")
                engine.set_branch(row.id, state=BranchState.SUSPENDED, reason=reason, machine=None)
            await end(engine, live)
            engine.reach("suspend.ended")
    lead = {row.id: row.head} if head != row.head else {}
    return Change(wake=(row.id,), states={row.id: Was(row.state, row.reason)}, lead=lead)


# -- when ----------------------------------------------------------------------------------------------------


async def watch(engine: Engine) -> None:
    """For ever: suspend branches once they were idle for as long as they say. Those without a machine cost nothing."""
    await attend(engine, partial(_to_watch, engine), _when_idle)


def _to_watch(engine: Engine, event: Event | None) -> list[str]:
    """Of the branch that an event names, or of all, those that run and are to be suspended when idle."""
    if event is None:
        rows = engine.catalog.branches()
    else:
        named = engine.catalog.named(event.subject) if event.kind == "branch" else None
        rows = [named] if named is not None else []
    return [
        row.id
        for row in rows
        if row.idle_s and row.state is BranchState.RUNNING and row.id in engine.machines.live
    ]


async def _when_idle(engine: Engine, branch: str) -> None:
    while (live := await idle.waited(engine, branch, partial(_wanted_s, engine, branch))) is not None:
        name, idle_s, used = engine.catalog.branch(branch).name, _wanted_s(engine, branch), live.used
        reason, request_id = f"idle for {idle_s} s", new_key()
        with suppress(VertuiError), engine.verbs.working(request_id, "suspend"):  # the log says why
            async with operation(engine, request_id, "suspend", f"suspend {name}: {reason}"):
                await fall_asleep(engine, live, reason, partial(_used_since, live, used))
            row = engine.catalog.branch(branch)
            thin(engine, row, policy_of(engine, row))
            return
        await asyncio.sleep(AGAIN_S)


def _used_since(live: Live, used: float) -> bool:
    return live.used != used or bool(idle.used(live))


def _wanted_s(engine: Engine, branch: str) -> int:
    with suppress(NotFound):
        return engine.catalog.branch(branch).idle_s
    return 0
