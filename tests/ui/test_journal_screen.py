"""The journal's screen over a whole engine of twins: what is there, what comes, what is tried, and nothing hostile."""

import asyncio

from textual.pilot import Pilot

from core.journal.entry import EntryKind, JournalExec, NewEntry
from tests.twins.engine import Twins, twin_engine
from tests.twins.served import served
from tests.ui.looks import app_of, text_of, until, until_seen
from vertui.screens.journal import JournalScreen
from vertui.screens.reading import ReadDialog
from vertui.ui import VertuiApp

HOSTILE = "say \x1b[2J[bold]\u202e it\nsecond line"


async def test_a_journal_is_read_followed_and_shown_whole() -> None:
    with twin_engine() as twins:
        twins.begin()
        await twins.do("up")
        await say(twins, NewEntry("message", HOSTILE, "planner"))
        await twins.do("commit", "main", "works")
        point = twins.engine.branch("main").head
        keeping = asyncio.create_task(twins.engine.journals.keep())
        try:
            async with served(twins) as client, VertuiApp(client.home).run_test(size=(120, 36)) as pilot:
                await until_seen(pilot, "main")
                await until(pilot, lambda: app_of(pilot).main.selection.refs == ("main",))
                await pilot.press("quotation_mark")
                await until_seen(pilot, "journal · main", "planner  say [bold]\\u202e it", "commit", "works")
                await follows(twins, pilot)
                await twins.do("restore", "main", point)
                await until_seen(pilot, "     4~ exec", "restored to")
                await pilot.press("g", "enter")
                await until(pilot, lambda: isinstance(pilot.app.screen, ReadDialog))
                await until_seen(pilot, "second line", "planner")
                assert "\x1b" not in text_of(pilot.app)
                await pilot.press("escape", "escape")
                await until(pilot, lambda: app_of(pilot).screen is app_of(pilot).main)
        finally:
            keeping.cancel()
            await twins.close()


async def say(twins: Twins, new: NewEntry) -> None:
    await twins.engine.journals.append(twins.engine.branch("main").id, [new])


async def follows(twins: Twins, pilot: Pilot[None]) -> None:
    """What comes is shown, and the cursor stays at the end; a command with its output."""
    ran = JournalExec(("pytest", "-q"), 7, "/work", ("K",), exit=1, duration_ms=1200.0)
    await say(twins, NewEntry("wait", "for a person", "vertui", guest=True))
    await until_seen(pilot, "wait        vertui (guest)  for a person")
    await say(twins, NewEntry(EntryKind.EXEC, "1 failed\n", exec=ran))
    await until_seen(pilot, "pytest -q  exit 1, 1.2 s")
    await pilot.press("enter")
    await until_seen(pilot, "$ pytest -q", "in /work  with K", "1 failed")
    await pilot.press("escape")
    await until(pilot, lambda: isinstance(pilot.app.screen, JournalScreen))
