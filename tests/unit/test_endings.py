"""Commands that nobody follows: their ends are in the journal, once, whichever daemon or client sees them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from core.engine import endings
from core.engine.journals import AUTHOR, Journals
from core.engine.unattended import Unattended, UnattendedCommand
from core.guest.client import AgentClient
from core.journal.entry import EntryKind, JournalEntry, JournalExec, NewEntry
from tests.twins.engine import Twins
from tests.unit.test_scoring import ended, trunk

Watched = tuple[Twins, str]


@asynccontextmanager
async def watched(client: AgentClient) -> AsyncIterator[Watched]:
    """A trunk whose commands' ends are written down, and its id."""
    async with trunk(client) as twins:
        watching = asyncio.create_task(endings.watch(twins.engine))
        try:
            yield twins, twins.engine.branch("main").id
        finally:
            await ended(watching)


async def begun(client: AgentClient, script: str, timeout_s: float | None = None) -> JournalExec:
    started = await client.exec(["sh", "-c", script], timeout_s=timeout_s)
    await started.detach()
    return JournalExec((script,), started.id)


def left(branch: str, begun: JournalExec) -> UnattendedCommand:
    return UnattendedCommand(branch, begun, "planner", "c0ffee", 0)


async def told(twins: Twins, branch: str) -> list[JournalEntry]:
    journals = twins.engine.journals
    return [one async for some in journals.show(branch, 0, 0, whole=True, follow=False) for one in some]


async def all_ended(twins: Twins) -> None:
    async with asyncio.timeout(60):
        while any(twins.engine.unattended.all()):
            await asyncio.sleep(0.01)


async def test_how_a_command_ended_that_nobody_followed_is_an_entry(client: AgentClient) -> None:
    async with watched(client) as (twins, branch):
        cases = {
            "echo one; echo two >&2; exit 3": (3, False, "one\ntwo\n", 4, 4),
            "sleep 0.3": (0, False, "", 0, 0),
            "echo a; sleep 60": (124, True, "a\n", 2, 0),
        }
        for script in cases:
            one = await begun(client, script, 0.5 if "60" in script else None)
            endings.expect(twins.engine, left(branch, one))
        await all_ended(twins)
        entries = await told(twins, branch)
        assert len(entries) == len(cases)
        for entry in entries:
            ran = entry.exec
            assert ran and (entry.author, entry.commit) == ("planner", "c0ffee")
            found = (ran.exit, ran.timed_out, entry.body, ran.stdout_bytes, ran.stderr_bytes)
            assert found == cases[ran.argv[0]] or sorted(entry.body) == sorted(cases[ran.argv[0]][2])
            assert ran.exit == cases[ran.argv[0]][0] and ran.duration_ms >= 200 * ("sleep" in ran.argv[0])


async def test_the_next_daemon_finds_what_has_not_ended_and_keeps_none_of_its_output(
    client: AgentClient,
) -> None:
    async with trunk(client) as twins:
        engine, branch = twins.engine, twins.engine.branch("main").id
        runs, over = await begun(client, "sleep 0.3; echo late; exit 4"), await begun(client, "true")
        gone = JournalExec(("gone",), 99)
        for one in (runs, over, gone):
            new = NewEntry(EntryKind.EXEC, "", AUTHOR, exec=one)
            await engine.journals.append(branch, [new])
        done = JournalExec(over.argv, over.command, exit=0)
        await engine.journals.append(branch, [NewEntry(EntryKind.EXEC, "", AUTHOR, exec=done)])
        engine.journals = Journals(engine.home.journal, engine.catalog)
        engine.unattended = Unattended()
        watching = asyncio.create_task(endings.watch(engine))
        await asyncio.sleep(0.05)
        async with asyncio.timeout(60):
            while len(entries := await told(twins, branch)) < 5:
                await asyncio.sleep(0.01)
        ran = entries[-1].exec
        assert ran and (ran.command, ran.exit, entries[-1].body, ran.stdout_bytes) == (runs.command, 4, "", 5)
        await all_ended(twins)
        assert len(await told(twins, branch)) == 5
        await ended(watching)


async def test_a_client_that_is_back_tells_of_the_end_itself_and_only_once(
    client: AgentClient, tmp_path: Path
) -> None:
    goes = tmp_path / "goes"
    async with watched(client) as (twins, branch):
        slow = await begun(client, f"until [ -e {goes} ]; do sleep 0.05; done")
        quick = await begun(client, "true")
        for one in (slow, quick):
            endings.expect(twins.engine, left(branch, one))
        assert twins.engine.unattended.take(branch, slow.command)
        await all_ended(twins)
        assert not twins.engine.unattended.take(branch, quick.command), "its end is written down"
        goes.touch()
        await asyncio.sleep(0.7)
        assert [entry.exec and entry.exec.argv for entry in await told(twins, branch)] == [("true",)]


async def test_a_machine_taken_back_has_no_command_of_before(client: AgentClient) -> None:
    async with watched(client) as (twins, branch):
        one = await begun(client, "sleep 0.5")
        await twins.engine.journals.append(branch, [NewEntry(EntryKind.RESTORE, "restored to c0ffee")])
        endings.expect(twins.engine, left(branch, one))
        await all_ended(twins)
        assert [entry.kind for entry in await told(twins, branch)] == ["restore"]
