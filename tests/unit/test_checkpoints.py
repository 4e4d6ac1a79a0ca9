"""Branches committed by themselves: when, what is kept of that, and what undo and a commit of somebody's make of it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import numpy as np
import pytest
from msgspec.structs import replace

from core.checkpoints import CheckpointPolicy, Trigger
from core.engine import checkpoints, policing, settings
from core.engine.checkpoints import Occasion, WatchedBranch, checkpoint, wanted
from core.engine.context import new_id
from core.engine.plans import execute, plan_prune
from core.engine.stirring import Stirring
from core.engine.thinning import not_kept, thin
from core.errors import NoRoom
from core.journal.entry import EntryKind, JournalExec, NewEntry
from core.model import PAGE_BYTES, Commit, CommitState
from tests.twins.engine import Twins, twin_engine

SOON_S = 20.0


@asynccontextmanager
async def watched(used_s: Callable[[int], float] = lambda _: 0.0, **policy: Any) -> AsyncIterator[Twins]:
    """A trunk with this policy, and who commits by it."""
    with twin_engine() as twins:
        twins.begin()
        watching: asyncio.Task[None] | None = None
        try:
            await twins.do("up", None, "main")
            await twins.do("policy", "main", **policy)
            watching = asyncio.create_task(checkpoints.watch(twins.engine, 0.0, used_s))
            yield twins
        finally:
            if watching:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            await twins.close()


def works(twins: Twins) -> str:
    """Something is done in the guest, as the daemon hears of it; the branch's id."""
    row = twins.engine.branch("main")
    twins.machine("main").guest.ticks += 1
    twins.engine.acting.acts(row.id)
    return row.id


def made(twins: Twins) -> list[Commit]:
    return [commit for commit in twins.engine.catalog.commits() if commit.checkpoint is not Trigger.NONE]


async def soon(twins: Twins, count: int) -> list[Commit]:
    """Those made by themselves, once there are so many and they are sealed."""
    async with asyncio.timeout(SOON_S):
        while len(found := made(twins)) < count or any(c.state is CommitState.HOT for c in found):
            await asyncio.sleep(0.01)
    return found


async def test_after_a_command_when_idle_and_when_its_agent_waits() -> None:
    async with watched(exec=True, idle=0.05, waiting=True) as twins:
        acting, branch = twins.engine.acting, works(twins)
        [idle] = await soon(twins, 1)
        assert (idle.checkpoint, idle.id) == (Trigger.IDLE, twins.engine.branch("main").head)
        with twins.engine.machines.live[branch].followed(), acting.command(branch):
            works(twins)
            await asyncio.sleep(0.3)
            assert made(twins) == [idle], "it is not idle while a command runs"
        acting.ends(branch)
        assert (await soon(twins, 2))[1].checkpoint is Trigger.EXEC
        await twins.do("journal append", "main", "done so far", "wait")
        assert (await soon(twins, 3))[2].checkpoint is Trigger.WAITING
        await asyncio.sleep(0.3)
        assert len(made(twins)) == 3, "nothing was done since"
        price = policing.policed(twins.engine, "main").price
        assert price.count == 3 and price.an_hour > 0
        log = twins.engine.catalog.operations()
        assert [one.verb for one in log] == ["policy", "up"], "it is no operation"


class FullOnce:
    """A holder or store that has no room the first time."""

    def __init__(self, real: Any, method: str) -> None:
        self._real, self._method, self.refused = real, method, 0

    def __getattr__(self, name: str) -> Any:
        return self._refuse if name == self._method and not self.refused else getattr(self._real, name)

    def _refuse(self, *_: Any, **__: Any) -> None:
        self.refused += 1
        raise NoRoom("there is no room")


async def test_one_that_fails_is_made_later_without_another_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "AGAIN_S", 0.05)
    async with watched(exec=True) as twins:
        twins.engine.held = full = cast(Any, FullOnce(twins.held, "keep"))
        twins.engine.acting.ends(works(twins))
        [its] = await soon(twins, 1)
        assert its.checkpoint is Trigger.EXEC and full.refused


async def test_what_is_taken_back_is_to_be_committed_again() -> None:
    async with watched(manual=True) as twins:
        signs = twins.engine.acting.of(works(twins))
        twins.engine.store = cast(Any, FullOnce(twins.store, "put"))
        with pytest.raises(NoRoom):
            await twins.do("commit", "main")
        assert signs.changed
        await twins.do("commit", "main")
        assert not signs.changed


async def test_nothing_by_itself_when_manual_paused_or_replayed() -> None:
    async with watched(exec=True) as twins:
        acting, branch = twins.engine.acting, works(twins)
        with acting.apart(branch):
            acting.ends(branch)
            await asyncio.sleep(0.2)
            assert not made(twins)
        await soon(twins, 1)
        await twins.do("pause", "main")
        acting.ends(works(twins))
        await asyncio.sleep(0.2)
        assert len(made(twins)) == 1
        await twins.do("policy", "main", manual=True)
        await twins.do("resume", "main")
        acting.ends(works(twins))
        await asyncio.sleep(0.2)
        assert len(made(twins)) == 1


async def test_what_somebody_does_first_makes_it_needless() -> None:
    """While it waits for its turn somebody commits the branch, says never, replays, or works in what was idle."""
    async with watched(manual=True) as twins:
        engine, row = twins.engine, twins.engine.branch("main")
        live, head = engine.machines.live[row.id], row.head

        def found(trigger: Trigger) -> Occasion:
            now = engine.branch("main")
            return Occasion(trigger, now, checkpoints.policy_of(engine, now), engine.acting.of(row.id).newest)

        idle, timed = found(Trigger.IDLE), found(Trigger.TIME)
        async with live.lock:
            waiting = asyncio.create_task(checkpoint(engine, live, timed))
            await asyncio.sleep(0.01)
            twins.machine("main").guest.ticks += 1
            with engine.acting.apart(row.id):
                assert not timed.lasts(engine, row, live)
            assert timed.lasts(engine, row, live) and not idle.lasts(engine, row, live), (
                "what was replayed is work"
            )
            engine.catalog.change_branch(row.id, policy=CheckpointPolicy(exec=True))
        assert await waiting is None and engine.branch("main").head == head
        timed = found(Trigger.TIME)
        await twins.do("commit", "main")
        assert await checkpoint(engine, live, timed) is None, "somebody has committed it"
        works(twins)
        assert await checkpoint(engine, live, found(Trigger.TIME)) is not None


async def test_one_that_has_begun_is_made_to_its_end() -> None:
    async with watched(manual=True) as twins:
        engine, main = twins.engine, twins.machine("main")
        row, live = engine.branch("main"), engine.machines.live[engine.branch("main").id]
        timed = Occasion(Trigger.TIME, row, checkpoints.policy_of(engine, row), 0)
        main.guest.ticks += 1
        begun = asyncio.create_task(checkpoint(engine, live, timed))
        async with asyncio.timeout(SOON_S):
            while not main.guest.frozen:
                await asyncio.sleep(0)
        begun.cancel()
        await asyncio.wait([begun])
        assert begun.cancelled() and not main.guest.frozen and engine.branch("main").head != row.head


async def test_who_waits_or_reads_changes_nothing() -> None:
    async with watched(idle=0.05, waiting=False) as twins:
        await twins.do("journal append", "main", "I wait", "wait")
        await twins.do("journal append", "main", "words")
        await asyncio.sleep(0.3)
        assert not made(twins)
        works(twins)
        address = twins.engine.machines.live[twins.engine.branch("main").id].network.info.address
        assert await soon(twins, 1)
        twins.hub.connections = frozenset({address})
        works(twins)
        await asyncio.sleep(0.3)
        assert len(made(twins)) == 1, "somebody is connected with it"
        twins.hub.connections = frozenset()
        assert len(await soon(twins, 2)) == 2


async def test_what_computes_is_not_idle() -> None:
    computes = True
    async with watched(lambda _: time.monotonic() if computes else 0.0, idle=0.6) as twins:
        works(twins)
        await asyncio.sleep(1.5)
        assert not made(twins)
        computes = False
        assert [commit.checkpoint for commit in await soon(twins, 1)] == [Trigger.IDLE]


async def test_what_was_run_under_an_earlier_daemon_is_committed_once() -> None:
    async with watched(idle=0.05) as twins:
        engine, branch = twins.engine, twins.engine.branch("main").id
        ran = NewEntry(EntryKind.EXEC, "", exec=JournalExec(("make",), 1, exit=0))
        await engine.journals.append(branch, [NewEntry(EntryKind.MESSAGE, "plan")])
        await checkpoints._take_up(engine)
        assert not engine.acting.of(branch).changed
        await engine.journals.append(branch, [ran])
        twins.machine("main").guest.ticks += 1
        await checkpoints._take_up(engine)
        await soon(twins, 1)
        await checkpoints._take_up(engine)
        assert not engine.acting.of(branch).changed


async def test_undo_passes_over_what_nobody_asked_for() -> None:
    async with watched(exec=True) as twins:
        mine = (await twins.do("commit", "main", "mine")).commit
        twins.engine.acting.ends(works(twins))
        [its] = await soon(twins, 1)
        await twins.do("undo")
        shown = {commit.id for commit in twins.engine.commits()}
        assert mine.id not in shown and twins.engine.branch("main").head == its.id
        await twins.do("redo")
        assert mine.id in {commit.id for commit in twins.engine.commits()}
        assert twins.engine.branch("main").head == its.id
        await twins.do("restore", "main")
        assert twins.engine.branch("main").head == mine.id, "nobody goes back to it who does not name it"


async def test_a_commit_of_the_same_state_is_somebodys_from_then_on() -> None:
    async with watched(exec=True) as twins:
        await twins.do("pause", "main")
        its = (await twins.do("commit", "main")).commit
        twins.engine.catalog.put_commit(replace(its, checkpoint=Trigger.IDLE))
        mine = await twins.do("commit", "main", "works")
        assert not mine.added and mine.commit.id == its.id
        assert (mine.commit.message, mine.commit.checkpoint) == ("works", Trigger.NONE)


async def test_a_plan_goes_on_over_what_nobody_asked_for() -> None:
    """A branch is committed by itself, and an older such commit thinned out, between a plan and a yes."""
    async with watched(exec=True, keep_last=1, hourly=0) as twins:
        engine = twins.engine

        async def commits_itself() -> str:
            head = engine.branch("main").head
            engine.acting.ends(works(twins))
            async with asyncio.timeout(SOON_S):
                while (now := engine.branch("main").head) == head:
                    await asyncio.sleep(0.01)
            await engine.tasks.sealer.all_sealed()
            return now

        former = await commits_itself()
        plan = plan_prune(engine, ["main"], now=False)
        await commits_itself()
        await commits_itself()
        thin(engine, engine.branch("main"), CheckpointPolicy(exec=True, keep_last=1, hourly=0))
        assert former in plan.commits and former not in {one.id for one in engine.catalog.commits()}
        await execute(engine, new_id(), plan.id)
        assert engine.catalog.branches() == [] and made(twins) == []
        await twins.do("undo")
        assert engine.branch("main")


async def test_what_a_policy_keeps_is_kept_and_what_is_named() -> None:
    async with watched(exec=True, keep_last=2, hourly=0) as twins:
        heads = [twins.engine.branch("main").head]
        for number in range(5):
            twins.engine.acting.ends(works(twins))
            async with asyncio.timeout(SOON_S):
                while (head := twins.engine.branch("main").head) == heads[-1]:
                    await asyncio.sleep(0.01)
            heads.append(head)
            if number == 1:
                await twins.do("tag", head, "good")
        async with asyncio.timeout(SOON_S):
            while twins.engine.acting.thinned < 2:
                await asyncio.sleep(0.01)
        assert [commit.id for commit in made(twins)] == [heads[2], heads[4], heads[5]]


async def test_what_a_replay_begins_with_and_what_several_come_from_is_kept() -> None:
    """Nor is anything left for ever that the branch was taken back from."""
    async with watched(manual=True) as twins:
        engine, row = twins.engine, twins.engine.branch("main")

        def put(letter: str, parent: str, state: CommitState = CommitState.SEALED) -> str:
            id, now = letter * 40, time.time()
            commit = Commit(
                id, "", (parent,), "main", row.image, "", now, state, True, checkpoint=Trigger.IDLE
            )
            engine.catalog.put_commit(commit)
            return id

        first = put("a", row.head)
        second, left = put("b", first), put("c", first)
        sealed = put("d", second)
        row = engine.catalog.change_branch(row.id, head=put("e", sealed, CommitState.HOT))
        nothing = CheckpointPolicy(keep_last=0, hourly=0)
        with engine.needing(left):  # as a machine needs what it lies on
            assert thin(engine, row, nothing) == 1
        assert thin(engine, row, nothing) == 1
        assert {commit.id for commit in made(twins)} == {first, sealed, row.head}


def commit_at(created: float) -> Commit:
    return Commit(f"{created:.0f}", "", (), "main", "i", "", created, CommitState.SEALED, True)


def test_one_an_hour_is_kept_of_the_last_hours() -> None:
    now = 100 * 3600.0
    ages = (60, 1800, 4000, 4600, 7300, 20_000)  # seconds: hours 99 (twice), 98 (twice), 97, 94
    newest = [commit_at(now - age) for age in ages]
    going = not_kept(newest, CheckpointPolicy(keep_last=1, hourly=4), now)
    assert [now - commit.created for commit in going] == [1800, 4600, 20_000]
    assert not not_kept(newest, CheckpointPolicy(keep_last=6, hourly=0), now)


async def test_what_it_did_before_a_commit_and_for_that_is_no_change_after_it() -> None:
    used = [0.0]
    with twin_engine() as twins:
        twins.begin()
        await twins.do("up", None, "main")
        await twins.do("policy", "main", every=0.2)
        watching = asyncio.create_task(checkpoints.watch(twins.engine, 0.0, lambda pid: used[0]))
        try:
            await asyncio.sleep(0.3)
            assert not made(twins), "nobody has done anything"
            used[0] += 100
            works(twins)
            [its] = await soon(twins, 1)
            assert its.checkpoint is Trigger.TIME
            await asyncio.sleep(1.5)
            assert made(twins) == [its], "it is idle"
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await twins.close()


async def test_what_it_does_by_itself_is_told_once_it_has_settled() -> None:
    used = [0.0]
    with twin_engine() as twins:
        twins.begin()
        await twins.do("up", None, "main")
        engine, stirring = twins.engine, Stirring(lambda pid: used[0])
        row, live = engine.branch("main"), engine.machines.live[engine.branch("main").id]

        def stirs(*, cpu_s: float = 0.0, writes: bool = False) -> bool:
            used[0] += cpu_s
            if writes:
                later = time.time() + used[0]
                os.utime(engine.store.layer_path(live.machine.layers[-1]), (later, later))
            return stirring.stirs(engine, row, live)

        assert stirring.settle(engine, row, live, 60.0) is not None and not stirs(cpu_s=9.0, writes=True)
        assert stirring.settle(engine, row, live, 0.0) is None and not stirs()
        assert not stirs(cpu_s=0.1) and stirs(writes=True), "its clock takes little"
        twins.machine("main").pid += 1  # as by a hand-over
        assert not stirs() and stirring.settle(engine, row, live, 60.0) is not None
        assert stirring.settle(engine, row, live, 0.0) is None and not stirs()
        assert stirs(cpu_s=9.0) and not stirs(), "it was busy, and is not any more"
        await twins.close()


async def test_what_a_branch_was_suspended_as_is_thinned_too() -> None:
    """But not what its machine lies on."""
    async with watched(exec=True, keep_last=1, hourly=0) as twins:
        for _ in range(2):
            works(twins)
            await twins.do("suspend", "main")
            await twins.do("resume", "main")
        first, second = made(twins)
        assert (first.checkpoint, second.checkpoint) == (Trigger.SUSPEND, Trigger.SUSPEND)
        for operation in twins.engine.catalog.operations():
            twins.engine.catalog.change_operation(operation.id, undoable=False)
        twins.engine.acting.ends(works(twins))
        async with asyncio.timeout(SOON_S):
            while twins.engine.acting.thinned < 1:
                await asyncio.sleep(0.01)
        assert [commit.id for commit in made(twins)] == [second.id, twins.engine.branch("main").head]


async def test_when_so_much_of_it_has_changed_since_its_head() -> None:
    with twin_engine() as twins:
        twins.begin()
        try:
            await twins.do("up", None, "main")
            await twins.do("policy", "main", bytes=2 * PAGE_BYTES)
            engine, one, row = twins.engine, WatchedBranch(), twins.engine.branch("main")
            live, head = engine.machines.live[row.id], engine.catalog.commit(row.head)

            async def is_due() -> bool:
                return await checkpoints._is_due(engine, row, live, Trigger.BYTES, one)

            assert wanted(engine, row, head, one, time.monotonic())[0] is Trigger.BYTES
            assert not await is_due(), "it begins with what is unlike its base already"
            await live.machine.own(np.array([8], np.uint32))
            assert not await is_due(), "half of it"
            await live.machine.own(np.array([9], np.uint32))
            assert await is_due()
            trigger, due = wanted(engine, row, head, one, now := time.monotonic())
            assert trigger is Trigger.NONE and due > now, "that is looked at now and then"
        finally:
            await twins.close()


async def test_every_so_often_while_it_changes_alone() -> None:
    with twin_engine() as twins:
        twins.begin()
        try:
            await twins.do("up", None, "main")
            engine, now = twins.engine, time.monotonic()
            row, one = engine.branch("main"), WatchedBranch()
            head = replace(engine.catalog.commit(row.head), created=time.time() - 100)
            await twins.do("policy", "main", every=60.0)
            trigger, due = wanted(engine, engine.branch("main"), head, one, now)
            assert trigger is Trigger.TIME and due <= now
            one.unchanged_at = now
            trigger, due = wanted(engine, engine.branch("main"), head, one, now)
            assert trigger is Trigger.NONE and 59 < due - now < 61
            live = engine.machines.live[row.id]
            assert not await checkpoints._is_due(engine, row, live, Trigger.TIME, one), (
                "nobody has done anything"
            )
            engine.acting.acts(row.id)
            assert await checkpoints._is_due(engine, row, live, Trigger.TIME, one)
            await twins.do("policy", "main", default=True)
            assert settings.policy(engine) == checkpoints.policy_of(engine, engine.branch("main"))
            settings.change(engine, "policy.default", "0")
            assert checkpoints.policy_of(engine, engine.branch("main")).is_manual
        finally:
            await twins.close()
