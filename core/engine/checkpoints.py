"""Branches committed by themselves, as their policies say.

Nothing is asked of a branch that does nothing: signs of what is done come from whoever does it (`core.engine.acting`),
and each branch has one time at which it is looked at next. What a guest does by itself is looked at when its time for
a commit has come (`core.engine.stirring`).

Nobody asked for such a commit, so it waits for a while in which no verb is at work, and is left out when there is no
need of it any more once its turn has come. One that has begun is made to its end, also when the daemon is told to end:
its guest is frozen meanwhile. It is no operation: undo and redo pass over it, see `core.engine.lost`.
"""

import asyncio
import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from core.catalog_values import BranchRow
from core.checkpoints import CheckpointPolicy, Trigger
from core.engine import settings
from core.engine.busy import Busy, processor_s
from core.engine.capture import make_hot, shoot
from core.engine.context import Engine
from core.engine.idle import BUSY_PERCENT
from core.engine.live import Live
from core.engine.stirring import SETTLED_S, Stirring, commands_left, written_at
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

T = TypeVar("T")
logger = logging.getLogger(__name__)


def policy_of(engine: Engine, row: BranchRow) -> CheckpointPolicy:
    """The policy that a branch has, its own or the home's."""
    return settings.policy(engine) if row.policy is None else row.policy


@dataclass
class WatchedBranch:
    """A branch: when it is looked at next, and not before; when it was found unchanged, when busy or connected, and
    when it was looked at how much of it has changed (monotonic all); the newest sign when no command ran in it; what it
    does by itself; how much had changed when a head was first seen; the task that commits it.
    """

    due: float = 0.0
    not_before: float = -math.inf
    unchanged_at: float = -math.inf
    worked_at: float = -math.inf
    measured_at: float = -math.inf
    none_runs_since: int = -1
    stirring: Stirring = field(default_factory=Stirring)
    busy: Busy = field(default_factory=Busy)
    changed_at_head: tuple[str, int] = "", 0
    at_work: asyncio.Task[None] | None = None


@dataclass(frozen=True)
class Occasion:
    """Why a branch is to be committed; what it was, and the newest sign of it, when that was found."""

    trigger: Trigger
    row: BranchRow
    policy: CheckpointPolicy
    newest: int

    def lasts(self, engine: Engine, row: BranchRow, live: Live) -> bool:
        """Is there need of the commit still? Not when somebody else has made one, wants none, has taken the branch back
        or has begun to work in what was idle.
        """
        if (row.head, row.machine) != (self.row.head, self.row.machine) or not _may(engine, row, live):
            return False
        if policy_of(engine, row) != self.policy:
            return False
        was_idle = engine.acting.of(row.id).newest == self.newest and not live.followers
        return was_idle or self.trigger is not Trigger.IDLE


async def watch(
    engine: Engine, quiet_s: float = QUIET_S, used_s: Callable[[int], float] = processor_s
) -> None:
    """For ever; no verb has been at work for `quiet_s` when a commit is made. `used_s` tells what a process has taken
    of a processor.
    """
    watched = defaultdict[str, WatchedBranch](
        lambda: WatchedBranch(stirring=Stirring(used_s), busy=Busy(processor_s=used_s))
    )
    await _take_up(engine)
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


async def _take_up(engine: Engine) -> None:
    """Of machines that an earlier daemon left, which may have seen more than it committed: its signs were its own."""
    for live in list(engine.machines.live.values()):
        with suppress(NotFound):  # it goes meanwhile
            row = engine.catalog.branch(live.branch)
            head = engine.catalog.commit(row.head)
            if policy_of(engine, row).is_manual:
                continue
            if _has_written(engine, row, live) or await engine.journals.has_run(row.id, head):
                engine.acting.acts(row.id)


def _look(engine: Engine, watched: defaultdict[str, WatchedBranch], quiet_s: float) -> None:
    """Take note of branches that came and went, of signs, and begin what is due."""
    named, now = {*engine.acting.named}, time.monotonic()
    engine.acting.named.clear()
    engine.acting.heard.clear()
    for branch in watched.keys() - engine.machines.live.keys():
        if watched[branch].at_work is None:
            del watched[branch]
    for branch in engine.machines.live:
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
    one.busy.look(engine.machines.live[branch].machine.pid)
    if trigger is Trigger.NONE:
        due = min(due, _settles(engine, row, one))
    one.due = max(due, one.not_before)
    if trigger is not Trigger.NONE and one.due <= now:
        one.due = math.inf
        occasion = Occasion(trigger, row, policy_of(engine, row), engine.acting.of(row.id).newest)

        async def work() -> None:
            try:
                await _quiet(engine, quiet_s)
                await _commit(engine, occasion, one)
            finally:
                one.at_work = None
                one.due = time.monotonic()
                engine.acting.tell(row.id)

        one.at_work = asyncio.create_task(work())


def _settles(engine: Engine, row: BranchRow, one: WatchedBranch) -> float:
    """When it has to be looked at what a branch does by itself before its time for a commit comes; never for most."""
    live = engine.machines.live[row.id]
    if not policy_of(engine, row).every_s or row.state is not BranchState.RUNNING or live.closing:
        return math.inf
    at = one.stirring.settle(engine, row, live)
    return math.inf if at is None else at


def wanted(
    engine: Engine, row: BranchRow, head: Commit, one: WatchedBranch, now: float
) -> tuple[Trigger, float]:
    """Why a branch is to be committed, and since or from when; `NONE` and when to look again."""
    policy, signs = policy_of(engine, row), engine.acting.of(row.id)
    live = engine.machines.live.get(row.id)
    if live is None or policy.is_manual or not _may(engine, row, live):
        return Trigger.NONE, now + LONGEST_SLEEP_S
    if policy.waits and signs.waits > signs.captured:
        return Trigger.WAITING, now
    if policy.exec and signs.ended > signs.captured:
        return Trigger.EXEC, now
    times = list[tuple[float, Trigger]]()
    if policy.idle_s and signs.changed and not live.followers:
        times.append((max(signs.at, one.worked_at) + policy.idle_s, Trigger.IDLE))
    if policy.every_s:
        since = max(one.unchanged_at, now - time.time() + head.created, signs.changed_at)
        times.append((since + policy.every_s, Trigger.TIME))
    if policy.bytes:
        works = signs.changed or now - signs.at < LONGEST_SLEEP_S
        times.append((one.measured_at + (BYTES_EVERY_S if works else LONGEST_SLEEP_S), Trigger.BYTES))
    due, trigger = min(times, default=(now + LONGEST_SLEEP_S, Trigger.NONE))
    return (trigger, due) if due <= now else (Trigger.NONE, due)


def _may(engine: Engine, row: BranchRow, live: Live) -> bool:
    """May a branch be committed now, if there is need of it?"""
    if row.state is not BranchState.RUNNING or row.deleted is not None or engine.acting.is_apart(row.id):
        return False
    return not (live.paused or live.closing or live.stall.is_set())


async def _quiet(engine: Engine, quiet_s: float) -> None:
    """Wait until no verb is at work, but not for ever."""
    until = time.monotonic() + MOST_WAIT_S
    while (left_s := quiet_s - engine.verbs.quiet_s()) > 0 and time.monotonic() < until:
        await asyncio.sleep(left_s)


async def _commit(engine: Engine, occasion: Occasion, one: WatchedBranch) -> None:
    """Commit a branch, unless there is no need any more; what fails is tried again later."""
    row, made = occasion.row, None
    try:
        if (live := engine.machines.live.get(row.id)) is not None:
            if await _is_due(engine, row, live, occasion.trigger, one):
                made = await checkpoint(engine, live, occasion)
            elif occasion.trigger is Trigger.TIME:
                one.unchanged_at = time.monotonic()
        one.not_before = time.monotonic() + SOON_S
        if made is not None:
            one.not_before = -math.inf
            await engine.tasks.sealer.sealed(made.id)
            row = engine.catalog.branch(row.id)
            thin(engine, row, policy_of(engine, row))
    except VertuiError as error:
        logger.warning("branch %s is not committed by itself: %s", row.name, error)
        one.not_before = time.monotonic() + AGAIN_S
    except Exception:  # a mistake of ours must not be made again at once, and for ever
        logger.exception("branch %s is not committed by itself", row.name)
        one.not_before = time.monotonic() + AGAIN_S


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Do it all, also when this is cancelled meanwhile; then that is raised after it."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        _ = task.cancelled() or task.exception()  # nobody is left to be told
        raise


async def _is_due(engine: Engine, row: BranchRow, live: Live, trigger: Trigger, one: WatchedBranch) -> bool:
    """Has anything changed, and does nothing go on that it is to wait for? If not, it is looked at again after as
    long.
    """
    if trigger is Trigger.BYTES:
        one.measured_at = time.monotonic()
        return await _changed_since(row, live, one) >= policy_of(engine, row).bytes
    if trigger is Trigger.IDLE:
        if one.busy.percent >= BUSY_PERCENT or await _is_connected(engine, live):
            one.worked_at = time.monotonic()
            return False
        return True
    if trigger is not Trigger.TIME or engine.acting.of(row.id).changed:
        return True
    if one.stirring.stirs(engine, row, live):
        return True
    return await _has_ended(engine, row, live, one)


async def _has_ended(engine: Engine, row: BranchRow, live: Live, one: WatchedBranch) -> bool:
    """Has a command ended since the last capture that nobody followed? The guest is not asked again once none runs."""
    signs = engine.acting.of(row.id)
    if one.none_runs_since == signs.newest:
        return False
    left = await commands_left(live, signs.captured_at or engine.catalog.commit(row.head).created)
    if not left.run:
        one.none_runs_since = signs.newest
    return left.ended


async def _is_connected(engine: Engine, live: Live) -> bool:
    """Does anybody speak with it by its network?"""
    with suppress(VertuiError):  # what cannot be told keeps nobody from being committed
        return bool(live.visits) or live.network.info.address in await asyncio.to_thread(
            engine.network.connected
        )
    return False


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


async def checkpoint(engine: Engine, live: Live, occasion: Occasion) -> Commit | None:
    """Commit a branch's machine by itself, hot; None when its state is that of its head, or there is no need any more
    when its turn has come. On failure the machine goes on.

    Nothing is hot then: what nobody asked for takes no memory where commits cannot be sealed.
    """
    for hot in engine.tasks.sealer.all():
        await engine.tasks.sealer.sealed(hot.id)
    await engine.tasks.sealer.room(live)
    async with live.lock:
        row = engine.catalog.branch(live.branch)
        if not occasion.lasts(engine, row, live):
            return None
        made = await _to_its_end(_made(engine, live, row, occasion.trigger))
    if made.id == row.head:
        return None
    engine.acting.of(row.id).commits.append(made.created)
    engine.journals.note(row.id, EntryKind.COMMIT, MESSAGES[occasion.trigger], made.id)
    return made


async def _made(engine: Engine, live: Live, row: BranchRow, trigger: Trigger) -> Commit:
    shot = replace(await shoot(engine, live, row), checkpoint=trigger)
    return await make_hot(engine, row, shot, MESSAGES[trigger])
