"""Commands that nobody follows: their ends are in the journal, once, whichever daemon or client sees them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from core.daemon import streams
from core.engine import endings
from core.engine.journals import AUTHOR, Journals
from core.engine.recording import CommandRecord
from core.engine.replay import replayable
from core.engine.unattended import Unattended, UnattendedCommand
from core.guest.client import AgentClient
from core.journal.entry import EntryKind, JournalEntry, JournalExec, NewEntry
from core.model import ExecRequest
from tests.twins.engine import Twins
from tests.unit.reached import reached, until
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


async def test_a_client_that_is_back_and_leaves_again_leaves_the_end_to_the_daemon(
    client: AgentClient,
) -> None:
    async with reached(client) as (twins, v):
        branch, endpoint = twins.engine.branch("main").id, v.blocking.client.endpoint
        watching = asyncio.create_task(endings.watch(twins.engine))
        one = await begun(client, "sleep 0.5; exit 6")

        def leaves() -> None:
            asked = ExecRequest("main", one.argv, author="planner", cwd="/tmp")
            stream = streams.attach(endpoint, "main", one.command, owner=True, asked=asked)
            assert isinstance(next(iter(stream)), streams.Started)
            stream.leave()

        await asyncio.to_thread(leaves)
        async with asyncio.timeout(60):
            while len(entries := await told(twins, branch)) < 2:
                await asyncio.sleep(0.01)
        assert [(entry.author, entry.exec and entry.exec.cwd) for entry in entries] == [
            ("planner", "/tmp")
        ] * 2
        assert [entry.exec and (entry.exec.left, entry.exec.exit) for entry in entries] == [
            (True, None),
            (True, 6),
        ]
        await ended(watching)


async def test_a_command_of_vertuis_own_that_is_given_something_changes_its_branch_from_then_on(
    client: AgentClient,
) -> None:
    async with reached(client) as (twins, v):
        branch, endpoint = twins.engine.branch("main").id, v.blocking.client.endpoint

        def changes(*, stdin: bool) -> bool:
            asked = ExecRequest("main", ("sleep", "60"), stdin=stdin, inner=True)
            with streams.run(endpoint, asked) as stream:
                assert isinstance(next(iter(stream)), streams.Started)
                return twins.engine.acting.of(branch).changed

        assert not await asyncio.to_thread(changes, stdin=False)
        assert await asyncio.to_thread(changes, stdin=True)


async def test_a_machine_taken_back_has_no_command_of_before(client: AgentClient) -> None:
    async with watched(client) as (twins, branch):
        one = await begun(client, "sleep 0.5")
        await twins.engine.journals.append(branch, [NewEntry(EntryKind.RESTORE, "restored to c0ffee")])
        endings.expect(twins.engine, left(branch, one))
        await all_ended(twins)
        assert [entry.kind for entry in await told(twins, branch)] == ["restore"]


@asynccontextmanager
async def in_the_middle(client: AgentClient) -> AsyncIterator[tuple[Twins, str, str, CommandRecord]]:
    """A trunk that was forked in the middle of two commands, one of which is followed; its id and the child's, and the
    record of that command. The child's agent is the trunk's, as if it had been in the machine that was copied.
    """
    async with trunk(client) as twins:
        engine, parent = twins.engine, twins.engine.branch("main")
        endings.expect(engine, left(parent.id, await begun(client, "sleep 0.5; echo alone; exit 4")))
        asked = ExecRequest("main", ("sh", "-c", "sleep 0.5; echo followed"), cwd="/", author="builder")
        stream = await client.exec(asked.argv, cwd=asked.cwd)
        record = CommandRecord(engine.journals, parent.id, parent.head, asked, stream.id)
        with engine.unattended.followed(record.running):
            assert (await twins.do("fork", "main", 1, "child")).children[0].ok
        child = engine.branch("child")
        own, engine.machines.live[child.id]._agent = engine.machines.live[child.id]._agent, client
        try:
            yield twins, parent.id, child.id, record
        finally:
            await stream.detach()
            engine.machines.live[child.id]._agent = own


async def test_a_child_tells_of_the_ends_of_what_its_parent_was_in_the_middle_of(client: AgentClient) -> None:
    async with in_the_middle(client) as (twins, parent, child, record):
        engine = twins.engine
        watching = asyncio.create_task(endings.watch(engine))
        await all_ended(twins)
        entries = await told(twins, child)
        assert [entry.exec and (entry.exec.inherited, entry.exec.exit) for entry in entries[:2]] == [
            (True, None)
        ] * 2
        assert {entry.commit for entry in entries} == {engine.branch("child").parent}
        ends = [
            (one.author, one.body, one.exec.inherited, one.exec.exit, one.exec.cwd)
            for one in entries[2:]
            if one.exec
        ]
        assert sorted(ends) == [("builder", "followed\n", True, 0, "/"), ("planner", "alone\n", True, 4, "")]
        assert not replayable(engine.journals.chain(child), 0, 0, len(entries)).commands, (
            "the commit has them"
        )
        [alone] = [one.exec for one in await told(twins, parent) if one.exec]
        assert (alone.exit, alone.inherited) == (4, False)
        record.close()
        assert not engine.unattended.running(parent, 0) and not engine.unattended.running(child, 0)
        await ended(watching)


async def test_the_next_daemon_tells_of_them_as_well(client: AgentClient) -> None:
    async with in_the_middle(client) as (twins, _, child, _):
        engine = twins.engine
        await engine.journals.writer.flush()
        engine.journals = Journals(engine.home.journal, engine.catalog)
        engine.unattended = Unattended()
        watching = asyncio.create_task(endings.watch(engine))
        async with asyncio.timeout(60):
            while len(entries := await told(twins, child)) < 4:
                await asyncio.sleep(0.01)
        ends = [one.exec for one in entries[2:] if one.exec]
        assert sorted((one.exit, one.inherited) for one in ends) == [(0, True), (4, True)]
        await ended(watching)


async def test_a_fork_in_the_middle_of_exec(client: AgentClient) -> None:
    async with reached(client) as (twins, v):
        base = await v.branch("main")
        async with base.run("read x; exit $x", stdin=True) as running:
            await until(lambda: asyncio.sleep(0, running.command is not None))
            await base.fork(1, prefix="child")
            await running.write(b"5\n")
            assert (await running.wait()).exit == 5
        await base.fork(1, prefix="later")
        ran = {
            name: [one.exec for one in await told(twins, twins.engine.branch(name).id) if one.exec]
            for name in ("main", "child", "later")
        }
        [own], [inherited], [before] = ran.values()
        assert (own.exit, own.inherited) == (5, False) and before == own
        assert (inherited.argv, inherited.command, inherited.exit) == (own.argv, own.command, None)
        assert inherited.inherited and inherited.left


async def test_what_has_ended_or_is_of_a_former_machine_is_inherited_by_nobody(client: AgentClient) -> None:
    async with trunk(client) as twins:
        engine, branch = twins.engine, twins.engine.branch("main").id
        one = await begun(client, "true")
        record = CommandRecord(engine.journals, branch, "", ExecRequest("main", ("true",)), one.command)
        with engine.unattended.followed(record.running):
            record.close()  # its entry is on its way to the disk
            endings.expect(engine, replace(left(branch, one), mark=7))
            await twins.do("fork", "main", 1, "child")
        child = engine.branch("child").id
        [entry] = await told(twins, child)
        assert entry.exec and not entry.exec.inherited and not engine.unattended.running(child, 0)


async def test_a_branch_runs_or_has_no_machine_to_ask(client: AgentClient) -> None:
    async with trunk(client) as twins:
        engine, row = twins.engine, twins.engine.branch("main")
        assert engine.running(row.id) is engine.machines.live[row.id] and engine.running("nobody") is None
        await twins.do("pause", "main")
        assert engine.running(row.id) is None
        await twins.do("resume", "main")
        await twins.do("fork", "main", 1, "child")
        child = engine.branch("child").id
        await twins.do("prune", ("child",))
        assert engine.running(child) is None and engine.running(row.id)
