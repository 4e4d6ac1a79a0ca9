"""A whole engine on twins: verbs do what they say, and leave nothing."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from core.engine import settings
from core.engine.images import KVM_FAILED, why_emulated
from core.engine.inspect import tree
from core.engine.pool import Pool
from core.errors import Conflict, NotFound
from core.model import BranchState, CommitState
from tests.guests import SOON_S
from tests.twins.engine import Twins, twin_engine


def played(scene: Callable[[Twins], Awaitable[None]]) -> None:
    """Play a scene in a new home; nothing of it is left afterwards."""

    async def play(twins: Twins) -> None:
        twins.begin()
        try:
            await scene(twins)
        finally:
            await twins.close()
        assert twins.hub.list() == () and twins.held.holdings().children == {}

    with twin_engine() as twins:
        asyncio.run(play(twins))


def test_a_fork_is_distinct_and_awake() -> None:
    async def scene(twins: Twins) -> None:
        await twins.do("up")
        forked = await twins.do("fork", "main", 3)
        assert [child.ok for child in forked.children] == [True] * 3
        guests = [twins.machine(name).guest for name in ("main", "b1", "b2", "b3")]
        assert [guest.hostname for guest in guests] == ["main", "b1", "b2", "b3"]
        assert len({guest.generation for guest in guests}) == 4 and not any(guest.frozen for guest in guests)
        await twins.engine.tasks.sealer.all_sealed()
        shown = await tree(twins.engine)
        assert {branch.state for branch in shown.branches} == {BranchState.RUNNING}
        assert {commit.state for commit in shown.commits} == {CommitState.SEALED}

    played(scene)


def test_what_was_paused_unfrozen_cannot_be_forked() -> None:
    async def scene(twins: Twins) -> None:
        await twins.do("up")
        twins.machine("main").guest.stubborn = True
        await twins.do("pause", "main")
        assert not twins.engine.branch("main").quiesced
        with pytest.raises(Conflict, match="could not be frozen"):
            await twins.do("fork", "main")
        made = await twins.do("commit", "main")
        assert not made.commit.quiesced

    played(scene)


def test_a_machine_that_ends_is_accounted_for() -> None:
    async def scene(twins: Twins) -> None:
        await twins.do("up")
        await twins.crash("main")
        row = twins.engine.branch("main")
        assert row.state is BranchState.LOST and "signal 9" in row.reason
        await twins.do("resume", "main")
        assert twins.engine.branch("main").state is BranchState.RUNNING

    played(scene)


def test_an_undo_leaves_what_was_saved_of_another_branch() -> None:
    async def scene(twins: Twins) -> None:
        await twins.do("up")
        await twins.do("restore", "main")
        saved = twins.world()
        await twins.do("up", name="other")
        await twins.do("undo")
        assert twins.world() == saved

    played(scene)


def test_redo_is_of_what_was_undone_last() -> None:
    async def scene(twins: Twins) -> None:
        await twins.do("up")
        for number in (1.0, 2.0):
            await twins.do("score", "main", number)
        await twins.do("undo")
        await twins.do("rename", "main", "other")
        renamed = twins.world()
        await twins.do("undo")
        await twins.do("redo")
        assert twins.world() == renamed
        with pytest.raises(Conflict, match="nothing to redo"):
            await twins.do("redo")

    played(scene)


def test_a_state_committed_again_after_its_undo_is_shown() -> None:
    async def scene(twins: Twins) -> None:
        await twins.do("up")
        await twins.do("pause", "main")
        made = await twins.do("commit", "main")
        await twins.do("undo")
        again = await twins.do("commit", "main", "again")
        assert again.commit.id == made.commit.id == twins.engine.branch("main").head
        assert twins.world().commits[again.commit.id].message == "again"

    played(scene)


def test_a_commit_says_whether_it_is_new() -> None:
    async def scene(twins: Twins) -> None:
        await twins.do("up")
        await twins.do("pause", "main")
        assert [(await twins.do("commit", "main")).added for _ in range(2)] == [True, False]

    played(scene)


def test_the_log_says_what_is_pruned_with_a_promotion() -> None:
    async def scene(twins: Twins) -> None:
        await twins.do("up")
        await twins.do("fork", "main", 3)
        await twins.do("promote", "b2", prune_losers=True)
        assert (await twins.do("undo")).summary.endswith(": promote b2, prune b1 b3")

    played(scene)


def test_a_name_that_is_none_brings_up_the_nearest() -> None:
    async def scene(twins: Twins) -> None:
        await twins.do("up", name="server")
        for verb, given in (("pause", ("sever",)), ("fork", ("serve",)), ("score", ("servr", 1.0))):
            with pytest.raises(NotFound, match=r"did you mean server\?"):
                await twins.do(verb, *given)

    played(scene)


def test_what_kept_an_image_off_kvm_is_told() -> None:
    with twin_engine() as twins:
        image = twins.engine.catalog.images()[0]
        assert not why_emulated(twins.engine, image)
        place = twins.engine.home.images / image.id
        place.mkdir(parents=True, exist_ok=True)
        (place / KVM_FAILED).write_text("no answer within 15 s")
        assert why_emulated(twins.engine, image).endswith("did not boot on KVM: no answer within 15 s")


def test_undo_again_after_redo_shows_what_it_showed() -> None:
    async def scene(twins: Twins) -> None:
        worlds = [twins.world()]
        await twins.do("up")
        worlds.append(twins.world())
        for verb, world in (("undo", worlds[0]), ("redo", worlds[1])) * 2:
            await twins.do(verb)
            assert twins.world() == world

    played(scene)


def test_what_a_machine_lay_on_goes_after_its_end() -> None:
    async def scene(twins: Twins) -> None:
        await twins.do("up")
        base = (await twins.do("commit", "main")).commit.id
        await twins.do("fork", base, 1, "child")
        for name in ("child", "main"):
            await twins.do("commit", name)
        await twins.do("prune", (base,))
        await twins.do("trash empty")
        assert base in twins.store.commits() and base not in twins.world().commits
        await twins.do("prune", ("child",), now=True)
        await twins.do("store gc")
        assert base not in twins.store.commits()

    played(scene)


def test_machines_that_wait_become_children() -> None:
    async def scene(twins: Twins) -> None:
        engine = twins.engine
        for key, value in (("pool.machines", "2"), ("pool.spares", "1"), ("pool.floor-mib", "0")):
            settings.change(engine, key, value)
        await twins.do("up")
        head = (await twins.do("commit", "main")).commit.id
        pool = Pool(engine)
        pool.start()
        try:
            async with asyncio.timeout(SOON_S):
                while not any(warm.commit == head for warm in engine.machines.members.waiting):
                    await asyncio.sleep(0.01)
            spares = {warm.machine.id for warm in engine.machines.members.waiting if warm.commit == head}
            await twins.do("fork", head, 1, "child")
            assert twins.machine("child").id in spares and twins.machine("child").guest.hostname == "child"
        finally:
            await pool.close()
        assert not engine.machines.members.waiting and len(twins.hub.list()) == 2

    played(scene)
