"""A whole engine on twins: verbs do what they say, and leave nothing."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from core.engine.inspect import tree
from core.errors import Conflict
from core.model import BranchState, CommitState
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
        await twins.engine.sealer.all_sealed()
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
