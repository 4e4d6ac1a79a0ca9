"""Branches committed by themselves, as their policies say.

Nothing is asked of a branch that does nothing: signs of what is done come from whoever does it (`core.engine.acting`),
and each branch has one time at which it is looked at next. What a guest does by itself is looked at when its time for
a commit has come (`core.engine.stirring`).

A commit is made while no verb is at work, as nobody asked for it. It is no operation: undo and redo pass over it, see
`core.engine.lost`.
"""

import asyncio
import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from core.catalog_values import BranchRow
from core.checkpoints import CheckpointPolicy, Trigger
from core.engine import settings
from core.engine.busy import processor_s
from core.engine.capture import make_hot, shoot
from core.engine.context import Engine
from core.engine.live import Live
from core.engine.stirring import SETTLED_S, Stirring, written_at
from core.engine.thinning import thin
from core.errors import NotFound, VertuiError
from core.journal.entry import EntryKind
from core.model import BranchState, Commit

QUIET_S = 0.5  # since the last verb, before a commit that nobody asked for
MOST_WAIT_S = 30.0  # for that
SOON_S = 1.0  # until a branch is looked at again for which there was no need of one
AGAIN_S = 60.0  # until one that failed is tried again
LONGEST_SLEEP_S = 60.0  # branches that have appeared without a sign are noticed by then
BYTES_EVERY_S = 5.0  # between two looks at how much has changed, where that is what a policy asks for
MESSAGES = {
    Trigger.EXEC: "after a command",
    Trigger.TIME: "as it changes",
    Trigger.IDLE: "idle",
    Trigger.BYTES: "much has changed",
    Trigger.WAITING: "its agent waits",
}

logger = logging.getLogger(__name__)


def policy_of(engine: Engine, row: BranchRow) -> CheckpointPolicy:
    """The policy that a branch has, its own or the home's."""
    return settings.policy(engine) if row.policy is None else row.policy


@dataclass
class WatchedBranch:
    """A branch: when it is looked at next, and not before; when it was found unchanged, and when it was looked at how
    much of it has changed (monotonic all); what it does by itself; how much had changed when a head was first seen; the
    task that commits it.
    """

    due: float = 0.0
    not_before: float = -math.inf
    unchanged_at: float = -math.inf
    measured_at: float = -math.inf
    stirring: Stirring = field(default_factory=Stirring)
    changed_at_head: tuple[str, int] = "", 0
    at_work: asyncio.Task[None] | None = None


async def watch(
    engine: Engine, quiet_s: float = QUIET_S, used_s: Callable[[int], float] = processor_s
) -> None:
    """For ever; no verb has been at work for `quiet_s` when a commit is made. `used_s` tells what a process has taken
    of a processor.
    """
    watched = defaultdict[str, WatchedBranch](lambda: WatchedBranch(stirring=Stirring(used_s)))
    for live in list(
        engine.live.values()
    ):  # of an earlier daemon, which may have seen more than it committed
        if _has_written(engine, engine.catalog.branch(live.branch), live):
            engine.acting.acts(live.branch)
    try:
        while True:
            _look(engine, watched, quiet_s)
            next_s = min((one.due for one in watched.values()), default=math.inf) - time.monotonic()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(max(next_s, 0.0), LONGEST_SLEEP_S)):
                    await engine.acting.heard.wait()
    finally:
        tasks = [one.at_work for one in watched.values() if one.at_work]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _look(engine: Engine, watched: defaultdict[str, WatchedBranch], quiet_s: float) -> None:
    """Take note of branches that came and went, of signs, and begin what is due."""
    named, now = {*engine.acting.named}, time.monotonic()
    engine.acting.named.clear()
    engine.acting.heard.clear()
    for branch in watched.keys() - engine.live.keys():
        if watched[branch].at_work is None:
            del watched[branch]
    for branch in engine.live:
        one = watched[branch]
        if one.at_work is None and (branch in named or one.due <= now):
            _look_at(engine, branch, one, now, quiet_s)


def _look_at(engine: Engine, branch: str, one: WatchedBranch, now: float, quiet_s: float) -> None:
    try:
        row, head = engine.catalog.branch(branch), engine.catalog.commit(engine.catalog.branch(branch).head)
    except NotFound:
        one.due = now + LONGEST_SLEEP_S
        return
    trigger, due = wanted(engine, row, head, one, now)
    if trigger is Trigger.NONE:
        due = min(due, _settles(engine, row, one))
    one.due = max(due, one.not_before)
    if trigger is not Trigger.NONE and one.due <= now:
        one.due = math.inf

        async def work() -> None:
            try:
                await _quiet(engine, quiet_s)
                await _commit(engine, row.id, trigger, one)
            finally:
                one.at_work = None
                one.due = time.monotonic()
                engine.acting.tell(row.id)

        one.at_work = asyncio.create_task(work())


def _settles(engine: Engine, row: BranchRow, one: WatchedBranch) -> float:
    """When it has to be looked at what a branch does by itself before its time for a commit comes; never for most."""
    live = engine.live[row.id]
    if not policy_of(engine, row).every_s or row.state is not BranchState.RUNNING or live.closing:
        return math.inf
    at = one.stirring.settle(engine, row, live)
    return math.inf if at is None else at


def wanted(
    engine: Engine, row: BranchRow, head: Commit, one: WatchedBranch, now: float
) -> tuple[Trigger, float]:
    """Why a branch is to be committed, and since or from when; `NONE` and when to look again."""
    policy, signs = policy_of(engine, row), engine.acting.of(row.id)
    apart = engine.acting.is_apart(row.id)
    if apart or row.state is not BranchState.RUNNING or row.deleted is not None or policy.is_manual:
        return Trigger.NONE, now + LONGEST_SLEEP_S
    if policy.waits and signs.waits > signs.captured:
        return Trigger.WAITING, now
    if policy.exec and signs.ended > signs.captured:
        return Trigger.EXEC, now
    times = list[tuple[float, Trigger]]()
    live = engine.live.get(row.id)
    if policy.idle_s and signs.changed and not (live and live.followers):
        times.append((signs.at + policy.idle_s, Trigger.IDLE))
    if policy.every_s:
        since = max(one.unchanged_at, now - time.time() + head.created, signs.changed_at)
        times.append((since + policy.every_s, Trigger.TIME))
    if policy.bytes:
        times.append((one.measured_at + BYTES_EVERY_S, Trigger.BYTES))
    due, trigger = min(times, default=(now + LONGEST_SLEEP_S, Trigger.NONE))
    return (trigger, due) if due <= now else (Trigger.NONE, due)


async def _quiet(engine: Engine, quiet_s: float) -> None:
    """Wait until no verb is at work, but not for ever."""
    until = time.monotonic() + MOST_WAIT_S
    while (left_s := quiet_s - engine.quiet_s()) > 0 and time.monotonic() < until:
        await asyncio.sleep(left_s)


async def _commit(engine: Engine, branch: str, trigger: Trigger, one: WatchedBranch) -> None:
    """Commit a branch, unless there is no need any more; what fails is tried again later."""
    try:
        row, live, made = engine.catalog.branch(branch), engine.live.get(branch), None
        if live is not None and await _is_due(engine, row, live, trigger, one):
            made = await checkpoint(engine, live, trigger)
        one.not_before = time.monotonic() + SOON_S
        if made is None and trigger is Trigger.TIME:
            one.unchanged_at = time.monotonic()
        if made is not None:
            one.not_before = -math.inf
            await engine.sealer.sealed(made.id)
            row = engine.catalog.branch(branch)
            thin(engine, row, policy_of(engine, row))
    except VertuiError as error:
        logger.warning("branch %s is not committed by itself: %s", branch, error)
        one.not_before = time.monotonic() + AGAIN_S


async def _is_due(engine: Engine, row: BranchRow, live: Live, trigger: Trigger, one: WatchedBranch) -> bool:
    """Has anything changed? When nothing has, it is looked at again after as long."""
    if live.paused or live.closing or live.stall.is_set():
        return False
    if trigger is Trigger.BYTES:
        one.measured_at = time.monotonic()
        return await _changed_since(row, live, one) >= policy_of(engine, row).bytes
    if trigger is not Trigger.TIME or engine.acting.of(row.id).changed:
        return True
    return one.stirring.stirs(engine, row, live)


async def _changed_since(row: BranchRow, live: Live, one: WatchedBranch) -> int:
    """By how much more of its memory its process is unlike its base than when it had got its head, in bytes."""
    changed, (head, before) = await live.machine.changed_bytes(), one.changed_at_head
    if head != row.head or changed < before:
        one.changed_at_head, before = (row.head, changed), changed
    return changed - before


def _has_written(engine: Engine, row: BranchRow, live: Live) -> bool:
    """Has its guest written its disk since it was captured last, or started?"""
    since = max(engine.catalog.commit(row.head).created, row.started or 0.0)
    return written_at(engine, live) > since + SETTLED_S


async def checkpoint(engine: Engine, live: Live, trigger: Trigger) -> Commit | None:
    """Commit a branch's machine by itself, hot; None when its state is that of its head, or it does not run any more.
    On failure the machine goes on.
    """
    await engine.sealer.room(live)
    async with live.lock:
        row = engine.catalog.branch(live.branch)
        if row.state is not BranchState.RUNNING or live.paused or live.closing:
            return None
        shot = replace(await shoot(engine, live, row), checkpoint=trigger)
        made = await make_hot(engine, row, shot, MESSAGES[trigger])
    if made.id == row.head:
        return None
    engine.acting.of(row.id).commits.append(made.created)
    engine.journals.note(row.id, EntryKind.COMMIT, MESSAGES[trigger], made.id)
    return made
