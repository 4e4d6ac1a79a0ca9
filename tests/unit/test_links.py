"""Links, on an engine of twins: the hub lets those talk to each other whom the catalog links, whatever was done."""

import asyncio
import threading
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.daemon.mirror import Mirror
from core.engine import inspect, plans
from core.engine.context import FAULT
from core.engine.names import names_at
from core.engine.news import Announcer
from core.engine.recover import recover
from core.errors import Conflict, NoRoom, NotFound, UsageError, VertuiError
from core.model import Branch, BranchState
from core.network.addresses import GUEST_ADDRESS, Pair, address_of
from tests.twins.engine import Twins, twin_engine

SOON_S = 20.0


@asynccontextmanager
async def home() -> AsyncIterator[Twins]:
    """A trunk, main, and its children b1, b2 and b3."""
    with twin_engine() as twins:
        twins.begin()
        try:
            await twins.do("up")
            await twins.do("fork", "main", 3)
            yield twins
        finally:
            await twins.close()


async def linked(twins: Twins) -> set[str]:
    """The pairs that `ls` shows, as words; they are those that the hub lets talk to each other."""
    shown = {branch.name: branch for branch in (await inspect.tree(twins.engine)).branches}
    numbers = {name: twins.engine.branch(name).number for name in shown}
    pairs = {tuple(sorted((name, peer))) for name, branch in shown.items() for peer in branch.links}
    assert all(one in shown[other].links for one, branch in shown.items() for other in branch.links)
    assert twins.hub.pairs == {pair(numbers[one], numbers[other]) for one, other in pairs}
    return {" ".join(names) for names in pairs}


def pair(one: int, other: int) -> Pair:
    return min(one, other), max(one, other)


def found(twins: Twins, branch: str, name: str) -> str | None:
    """Where a branch's guest is told that a name is."""
    asker = names_at(twins.engine, address_of(twins.engine.branch(branch).number))
    assert asker is not None
    address = asker.address_of(name)
    if address not in (None, GUEST_ADDRESS):
        assert asker.branch_at(address) == name
    return address


async def test_each_is_linked_with_each_and_unlinked_from_some_or_all() -> None:
    async with home() as twins:
        told = await twins.do("link", ("main", "b1", "@trunk", "b2"))
        assert told.open and told.pairs == (("main", "b1"), ("main", "b2"), ("b1", "b2"))
        assert await linked(twins) == {"b1 main", "b2 main", "b1 b2"}
        told = await twins.do("link", ("b2", "b3", "main"))
        assert told.pairs == (("b2", "b3"), ("b3", "main"))
        told = await twins.do("unlink", ("b1", "b2", "b3"))
        assert not told.open and told.pairs == (("b1", "b2"), ("b2", "b3"))
        assert await linked(twins) == {"b1 main", "b2 main", "b3 main"}
        await twins.do("unlink", ("main",))
        assert await linked(twins) == set()


async def test_whom_the_hub_is_told_of_last_is_who_is_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes to tell it; and where it cannot be told, a link that was made stays."""
    async with home() as twins:
        hub, first, go_on = twins.hub, threading.Event(), threading.Event()
        told = hub.set_asleep

        def slowly(indexes: Collection[int]) -> None:
            if not first.is_set():
                first.set()
                go_on.wait(SOON_S)
            told(indexes)

        def full(indexes: Collection[int]) -> None:
            raise NoRoom("there is no room for a set")

        await twins.do("link", ("main", "b1", "b2"))
        with monkeypatch.context() as patch:
            patch.setattr(hub, "set_asleep", slowly)
            one = asyncio.create_task(twins.do("suspend", "b1"))
            await asyncio.to_thread(first.wait, SOON_S)
            other = asyncio.create_task(twins.do("suspend", "b2"))
            await asyncio.sleep(0.2)
            go_on.set()
            await asyncio.gather(one, other)
        assert hub.asleep == {twins.engine.branch(name).number for name in ("b1", "b2")}
        with monkeypatch.context() as patch:
            patch.setattr(hub, "set_asleep", full)
            await twins.do("link", ("main", "b3"))
        assert "b3 main" in await linked(twins)


async def test_what_makes_no_sense_is_one_clear_line() -> None:
    async with home() as twins:
        await twins.do("link", ("main", "b1"))
        for verb, names, error, said in (
            ("link", ("main",), UsageError, "give two branches or more"),
            ("link", ("main", "@trunk"), UsageError, "give two branches or more"),
            ("link", ("b1", "main"), Conflict, "b1 and main are linked already"),
            ("link", ("main", "b9"), NotFound, "no branch 'b9'"),
            ("unlink", ("b2",), NotFound, "b2 is linked with nobody"),
            ("unlink", ("main", "b2", "b3"), NotFound, "none of main, b2, b3 are linked"),
            ("unlink", ("x",), NotFound, "no branch 'x'"),
        ):
            with pytest.raises(error, match=said) as refusal:
                await twins.do(verb, names)
            assert "\n" not in str(refusal.value)
        twins.engine.set_branch(twins.engine.branch("b3").id, state=BranchState.STARTING)
        with pytest.raises(Conflict, match="b3 is starting: wait until it runs"):
            await twins.do("link", ("main", "b3"))
        assert await linked(twins) == {"b1 main"}


async def test_undo_and_redo_of_both_and_a_name_that_changes() -> None:
    async with home() as twins:
        await twins.do("link", ("main", "b1", "b2"))
        await twins.do("unlink", ("b1",))
        for expected in ({"b1 main", "b2 main", "b1 b2"}, set[str]()):
            await twins.do("undo")
            assert await linked(twins) == expected
        await twins.do("redo")
        await twins.do("rename", "b1", "web")
        assert await linked(twins) == {"main web", "b2 main", "b2 web"}
        assert found(twins, "main", "web") and found(twins, "main", "b1") is None


async def test_the_pruned_drop_out_and_come_back_with_their_links() -> None:
    async with home() as twins:
        await twins.do("link", ("main", "b1", "b2"))
        said = "b1 and those it is linked with (main, b2) reach each other no more"
        assert said in plans.plan_prune(twins.engine, ["b1"], now=False).lines
        await twins.do("prune", ("b1",))
        assert await linked(twins) == {"b2 main"} and found(twins, "main", "b1") is None
        await twins.do("undo")
        assert await linked(twins) == {"b1 main", "b2 main", "b1 b2"} and found(twins, "main", "b1")
        await twins.do("prune", ("b1",))
        await twins.do("unlink", ("main",))  # from whom it may come back as well
        await twins.do("trash restore", "b1")
        assert await linked(twins) == {"b1 b2"}
        await twins.do("prune", ("b1",), True)
        assert await linked(twins) == set() and twins.engine.catalog.links() == []


async def test_children_of_a_fork_are_not_linked() -> None:
    async with home() as twins:
        await twins.do("link", ("main", "b1"))
        await twins.do("fork", "b1", 2, "c")
        await twins.do("promote", "b1")
        assert await linked(twins) == {"b1 main"}
        assert found(twins, "c1", "main") is None and found(twins, "c1", "c1") is None


async def test_names_are_those_of_linked_branches_and_ones_own() -> None:
    async with home() as twins:
        await twins.do("link", ("main", "b1"))
        number = twins.engine.branch("b1").number
        assert found(twins, "main", "b1") == address_of(number) and found(twins, "b1", "b1") == GUEST_ADDRESS
        for nobody in ("b2", "", "\ufffd", "main.b1", "B1"):
            assert found(twins, "main", nobody) is None
        asker = names_at(twins.engine, address_of(twins.engine.branch("main").number))
        assert asker is not None
        assert [asker.branch_at(address_of(twins.engine.branch("b2").number)), asker.branch_at("x")] == [
            None,
            None,
        ]
        await twins.do("pause", "b1")
        await twins.crash("b1")
        assert found(twins, "main", "b1") == address_of(number)  # it may get a machine again
        await twins.do("resume", "b1")
        assert twins.engine.machines.live[twins.engine.branch("b1").id].network.index == number
        assert await linked(twins) == {"b1 main"}


async def test_a_link_that_cannot_be_written_down_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with home() as twins:
        await twins.do("link", ("main", "b1"))
        fault = tmp_path / "fault"
        fault.write_text("link.let=fail")
        monkeypatch.setenv(FAULT, str(fault))
        for verb, names in (("link", ("main", "b2")), ("unlink", ("main", "b1"))):
            with pytest.raises(Conflict, match=r"stopped at link\.let"):
                await twins.do(verb, names)
            assert await linked(twins) == {"b1 main"}


async def test_a_hub_that_refuses_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with home() as twins:

        def refuse(*_: object) -> None:
            raise Conflict("the kernel says no")

        with monkeypatch.context() as patched:
            patched.setattr(twins.hub, "set_pairs", refuse)
            with pytest.raises(VertuiError, match="the kernel says no"):
                await twins.do("link", ("main", "b1"))
        assert await linked(twins) == set() and twins.engine.catalog.links() == []


async def test_the_next_daemon_makes_it_as_the_catalog_says() -> None:
    async with home() as twins:
        await twins.do("link", ("main", "b1"))
        for left in (frozenset[Pair](), frozenset({(1, 2), (7, 9)})):
            twins.hub.pairs = left
            await recover(twins.engine, lambda _: None)
            assert await linked(twins) == {"b1 main"}


async def test_who_listens_is_told_of_links_and_of_names_in_them() -> None:
    async with home() as twins:
        queue, announcer = twins.engine.events.subscribe(), Announcer(twins.engine)
        first = await inspect.tree(twins.engine)
        mirror, telling = Mirror(lambda: first), asyncio.create_task(announcer.tell())
        assert mirror.tree == first
        try:
            for verb, given, b1, b2 in (
                ("link", [("b1", "b2")], ("b2",), ("b1",)),
                ("rename", ["b2", "web"], ("web",), ("b1",)),
                ("prune", [("web",)], (), None),
                ("undo", [], ("web",), ("b1",)),
                ("unlink", [("b1",)], (), ()),
            ):
                await twins.do(verb, *given)
                async with asyncio.timeout(60):
                    while links(mirror.tree.branches) != (b1, b2):
                        event = await queue.get()
                        assert event is not None
                        mirror.take(event)
        finally:
            telling.cancel()


def links(branches: tuple[Branch, ...]) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """What b1, and the branch that is b2 or web, are linked with."""
    found = {branch.name: branch.links for branch in branches}
    return found.get("b1"), found.get("b2", found.get("web"))
