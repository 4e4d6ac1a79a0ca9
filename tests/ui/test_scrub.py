"""Time scrub: the tree as it was, walked by keys, on a whole engine of twins; and asked for by command."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from core.daemon.client import Client
from core.daemon.endpoint import variables_of
from core.engine.news import Announcer
from tests.twins.engine import Twins, twin_engine
from tests.twins.served import open_port, served
from tests.ui.looks import app_of, text_of, until, until_seen
from vertui.actions import ACTIONS, BY_ID, OF_THE_PAST, as_it_was
from vertui.cli import main
from vertui.screens.diff import DiffScreen
from vertui.selection import key_of
from vertui.ui import VertuiApp
from vertui.widgets.rows import RowList

SIZE = (120, 36)


@asynccontextmanager
async def beginning() -> AsyncIterator[Twins]:
    """main (1), forked into b1 and b2 (2), b1 called wasp (3), b2 pruned (4)."""
    with twin_engine() as twins:
        twins.begin()
        telling = asyncio.create_task(Announcer(twins.engine).tell())
        try:
            await twins.do("up")
            await twins.do("fork", "main", 2)
            await twins.engine.tasks.sealer.all_sealed()
            await twins.do("rename", "b1", "wasp")
            await twins.do("prune", ("b2",))
            await twins.engine.tasks.sealer.all_sealed()
            yield twins
        finally:
            telling.cancel()
            await twins.close()


def names(pilot: Pilot[None]) -> list[str]:
    return [branch.name for branch in app_of(pilot).main.shown.branches]


def go_to(pilot: Pilot[None], name: str) -> None:
    main = app_of(pilot).main
    assert main.tree_view.go_to_node(next(one for one in main.shown.branches if one.name == name))


def node(pilot: Pilot[None]) -> str:
    found = app_of(pilot).main.tree_view.node
    return key_of(found) if found else ""


async def walk(pilot: Pilot[None], key: str, good: Callable[[], bool]) -> None:
    """Press it until it is good, each time for another tree."""
    app = app_of(pilot)
    while not good():
        before = app.main.scrub.past
        await pilot.press(key)
        await until(pilot, lambda past=before: app.main.scrub.past is not past and not app.main.scrub.waits)  # type: ignore[misc]


def at(pilot: Pilot[None]) -> int:
    """The operation that had ended; 0 for now."""
    past = app_of(pilot).main.scrub.past
    return past.then.operation.id if past and past.then.operation else 0


async def is_printed(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    [remote] = await asyncio.to_thread(open_port, client, "who")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables_of(remote).items():
            patch.setenv(name, value)

        async def said(*argv: str, status: int = 0) -> str:
            assert await asyncio.to_thread(main, argv) == status
            out = capsys.readouterr()
            return out.out + out.err

        assert "● b2" in await said("tree", "--at", "3") and "● b2" not in await said("tree")
        assert "wasp" in await said("ls", "--at", "3") and "wasp" not in await said("ls", "--at", "2")
        assert "no operation 99" in await said("ls", "--at", "99", status=4)


async def is_walked_through_and_only_looked_at(twins: Twins, pilot: Pilot[None]) -> None:
    app = app_of(pilot)
    await until(pilot, lambda: names(pilot) == ["main", "wasp"])
    await pilot.press("space", "greater_than_sign")
    await until_seen(pilot, "this is now: < goes back", "1 marked", "httpd")
    cursor = node(pilot)
    await walk(pilot, "<", lambda: at(pilot) == 3)
    await until_seen(
        pilot, "as it was after #3 rename", "1 step back", "− b2", "in the trash", "tree as it was"
    )
    assert names(pilot) == ["main", "wasp", "b2"] and not app.main.tree_view.marked
    assert "httpd" not in text_of(app)
    assert {(one.pid, one.address, one.memory_bytes) for one in app.main.shown.branches} == {(None, None, 0)}
    for action in ACTIONS:
        if action.id not in OF_THE_PAST:
            assert BY_ID[action.id].refuse(app.main.selection) == as_it_was(), action.id
    await pilot.press("x")
    await until_seen(pilot, "prune: the tree is shown as it was")
    await twins.do("score", "main", 0.5)
    await twins.do("fork", "wasp", 1, "later")
    await until_seen(pilot, "≠ main  score none → 0.5", "+ later")
    assert at(pilot) == 3 and names(pilot) == ["main", "wasp", "b2"]
    go_to(pilot, "b2")
    await pilot.press("d")
    await until_seen(pilot, "diff: b2 or its head of then", "is there no more")
    await walk(pilot, "<", lambda: at(pilot) == 2)
    assert names(pilot) == ["main", "b1", "b2"]
    go_to(pilot, "b1")
    await until_seen(pilot, "now called wasp", "d compares its files then and now")
    head = app.main.shown.branches[1].head
    await pilot.press("d")
    await until(pilot, lambda: isinstance(app.screen, DiffScreen))
    await until_seen(pilot, f"{head[:8]} → wasp")
    await pilot.press("escape")
    await walk(pilot, "<", lambda: at(pilot) == 1)
    await pilot.press("<")
    await until_seen(pilot, "no operation ended before this")
    assert at(pilot) == 1 and names(pilot) == ["main"]
    await walk(pilot, ">", lambda: at(pilot) == 0)
    assert names(pilot) == ["main", "wasp", "later"] and app.main.shown.branches[0].score == 0.5
    assert node(pilot) == cursor and app.main.tree_view.marked
    assert "as it was" not in text_of(app)
    await pilot.press("l")
    await until_seen(pilot, "the tree as it was then", "rename")
    log = app.screen.query_one(RowList)
    log.go_to(next(one for one in log.items if one.id == 2))
    await pilot.press("<")
    await until(pilot, lambda: at(pilot) == 2)
    assert names(pilot) == ["main", "b1", "b2"]
    await pilot.press("<", "<", "escape")
    await until(pilot, lambda: at(pilot) == 0)
    await pilot.pause(0.2)
    assert at(pilot) == 0, "what was asked for before does not come after"
    await log_leads_to_what_it_tells_of(pilot)


async def log_leads_to_what_it_tells_of(pilot: Pilot[None]) -> None:
    """A rename to the branch, a fork to its child; a prune has left nothing."""
    app = app_of(pilot)
    for done, wanted in (("rename b1 to wasp", "wasp"), ("fork wasp into later", "later"), ("prune b2", "")):
        await pilot.press("l")
        await until_seen(pilot, "go to what it changed", "rename")
        log = app.screen.query_one(RowList)
        log.go_to(next(one for one in log.items if one.summary == done))
        await pilot.press("apostrophe")
        if wanted:
            await until(pilot, lambda: app.screen is app.main)
            assert getattr(app.main.tree_view.node, "name", "") == wanted
    await until_seen(pilot, "#4 left nothing in the tree: T shows the trash")


async def test_the_tree_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    async with beginning() as twins, served(twins) as client:
        await is_printed(client, capsys)
        twins.machine("wasp").guest.sockets["tcp 80"] = 7, "httpd"
        async with VertuiApp(client.home).run_test(size=SIZE) as pilot:
            await is_walked_through_and_only_looked_at(twins, pilot)
