"""Journals of branches by way of the real API, client and command line: forks, trash, what verbs write themselves."""

import asyncio
import io
import json
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest

from core.daemon.client import Client
from core.engine import upkeep
from core.engine.journals import Forkpoint, Journals
from core.engine.rebuild import find_manifests, rebuild_catalog
from core.engine.unattended import UnattendedCommand
from core.errors import DaemonUnavailable, Damaged, UsageError
from core.files import Files
from core.home import Home, find_home
from core.journal.entry import JournalExec, NewEntry
from core.journal.segment import bodies_of, file_of, segments
from core.model import BranchState
from core.verbs.fork import Fork
from core.verbs.store.gc import Gc
from tests.guests import SOON_S
from tests.twins.engine import Twins, twin_engine
from tests.twins.served import served
from tests.unit.engines import engine_of, put
from vertui.cli import main

P = ParamSpec("P")
T = TypeVar("T")
MIB = 1 << 20
HOSTILE = "a\x1b[2J\u202e[bold]\nx"


@asynccontextmanager
async def asked() -> AsyncIterator[tuple[Twins, Client]]:
    with twin_engine() as twins:
        twins.begin()
        home = find_home(str(twins.engine.home.root))
        home.make_runtime()
        twins.engine.home = Home(home.root, home.runtime)
        try:
            await twins.do("up", None, "main")
            async with served(twins) as client:
                yield twins, client
        finally:
            await twins.close()


async def ask(what: Callable[..., T], *given: Any, **named: Any) -> T:
    return await asyncio.to_thread(what, *given, **named)


async def told(client: Client, branch: str, **named: Any) -> list[tuple[str, str]]:
    found = await ask(lambda: list(client.journal(branch, **named)))
    return [(entry.kind, entry.body) for entry in found]


async def test_children_go_on_from_what_their_parent_had_and_verbs_write_themselves() -> None:
    async with asked() as (twins, client):
        made = await ask(client.journal_append, "main", "plan", author="planner")
        assert made.seq == 1 and made.commit == twins.engine.branch("main").head
        await twins.do("commit", "main", "works")
        point = twins.engine.branch("main").head
        await twins.do("score", "main", 0.5, "fair")
        await twins.do("fork", "main", 2)
        shared = [("message", "plan"), ("commit", "works"), ("score", "0.5 fair")]
        for name in ("b1", "b2"):
            await ask(client.journal_append, name, name)
            assert await told(client, name) == [*shared, ("message", name)]
        assert await told(client, "main") == [*shared, ("fork", "fork main into b1…b2")]
        await twins.do("fork", point, 1, "late")  # a commit: what was on disk when it was made
        assert await told(client, "late") == [("message", "plan")]
        await twins.do("pause", "b1")
        await twins.do("fork", "b1", 1, "c")
        assert await told(client, "c") == [*shared, ("message", "b1")]
        assert await told(client, "c", first=4) == await told(client, "c", count=1) == [("message", "b1")]
        found = await ask(client.journal_verify)
        assert {one.branch: (one.entries, one.problem) for one in found}["c"] == (4, "")
        assert all(not one.problem for one in found)


class Stuck(Files):
    """A disk whose flushes take until it is let `go`."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def fsync(self, path: Path) -> None:
        self.go.wait(SOON_S)
        super().fsync(path)


async def test_neither_fork_nor_commit_waits_for_a_journals_disk() -> None:
    async with asked() as (twins, client):
        await twins.do("up", None, "other")
        disk, engine = Stuck(), twins.engine
        engine.journals = Journals(engine.home.journal, engine.catalog, disk)
        keeping = asyncio.create_task(engine.journals.keep())
        before = engine.catalog.operations()[0].id
        async with asyncio.timeout(SOON_S / 2):
            await twins.do("fork", "main", 2)
            await twins.do("commit", "other", "works")
        assert engine.catalog.operations()[0].id == before + 2 and engine.journals.durable("other") == 0
        disk.go.set()
        assert await told(client, "other") == [("commit", "works")]
        keeping.cancel()
        at = Forkpoint(engine.branch("main").id, None, None, engine.branch("main").head, "fork")
        child = engine.branch("b2").id
        begun = UnattendedCommand(child, JournalExec(("make 2",), 1), "x", at.commit, 0)
        await engine.journals.forked(at, {child: [begun]})
        [*_, started] = await ask(lambda: list(client.journal("b2")))
        assert started.exec and started.exec.argv == ("make 2",)


async def test_what_a_restore_takes_back_is_tried_and_undo_makes_it_count_again() -> None:
    async with asked() as (twins, client):

        async def tried() -> list[int]:
            found = await ask(lambda: list(client.journal("main")))
            return [entry.seq for entry in found if entry.tried]

        await ask(client.journal_append, "main", "plan")  # 1
        await twins.do("commit", "main", "works")  # 2
        point = twins.engine.branch("main").head
        await ask(client.journal_append, "main", "worse")  # 3
        await twins.do("restore", "main", point)  # 4
        assert await tried() == [3]
        assert (await told(client, "main"))[-1] == ("restore", f"restored to {point[:12]}: 3 is tried")
        await ask(client.journal_append, "main", "better")  # 5
        assert await tried() == [3]
        await twins.do("undo")  # of the restore: 6
        assert await tried() == [4, 5]
        await twins.do("restore", "main", point)  # 7
        assert await tried() == [3, 4, 5, 6]
        await twins.do("fork", "main", 1, "child")
        await ask(client.journal_append, "child", "again")
        assert [entry.seq for entry in await ask(lambda: list(client.journal("child"))) if entry.tried] == [
            3, 4, 5, 6,
        ]  # fmt: skip
        await twins.crash("child")
        await twins.do("resume", "child")  # of which 8 is gone
        entry = (await ask(lambda: list(client.journal("child"))))[-1]
        assert entry.body.startswith("started from ") and entry.tries == ((3, 6), (8, 8))
        assert all(not one.problem for one in await ask(client.journal_verify))


async def test_a_fork_may_have_more_of_the_journal_than_its_machine_knows_or_less() -> None:
    async with asked() as (twins, client):
        await ask(client.journal_append, "main", "plan")
        await twins.do("commit", "main", "works")
        point = twins.engine.branch("main").head
        await ask(client.journal_append, "main", "tried this")
        await ask(client.journal_append, "main", "and that")
        await ask(client.do, Fork(point, prefix="more", with_journal=3))
        found = await ask(lambda: list(client.journal("more")))
        assert [(entry.body, entry.tried) for entry in found] == [
            ("plan", False), ("works", False), ("tried this", True), (f"forked from {point[:12]}: 3 is tried", False),
        ]  # fmt: skip
        await ask(client.do, Fork(point, prefix="none", with_journal=0))
        await twins.engine.journals.writer.flush()
        twins.engine.journals = Journals(
            twins.engine.home.journal, twins.engine.catalog
        )  # as a new daemon has them
        assert await told(client, "none") == []
        with pytest.raises(UsageError, match="the journal has no entry 99: 6 is its last"):
            await ask(client.do, Fork("main", prefix="too", with_journal=99))
        assert "too" not in {branch.name for branch in (await ask(client.tree)).branches}


async def test_a_journal_shares_its_branchs_fate_and_stays_while_a_child_needs_it() -> None:
    async with asked() as (twins, client):
        await twins.do("fork", "main", 1, "b")
        await ask(client.journal_append, "b", "said")
        await twins.do("fork", "b", 1, "c")
        await ask(client.journal_append, "c", "answered")
        before = await told(client, "b")
        await twins.do("prune", ("b",))
        await twins.do("undo")
        assert await told(client, "b") == before
        engine, home = twins.engine, twins.engine.home.journal
        ids = {name: engine.branch(name).id for name in ("b", "c")}
        for name, left in (("b", {ids["b"], ids["c"]}), ("c", set())):
            await twins.do("prune", (name,))
            await twins.do("trash empty")
            assert set(segments(home)) & {*ids.values()} == left
            if left:
                assert await told(client, "c") == [("message", "said"), ("message", "answered")]
                path = file_of(home, ids["c"])
                data = path.read_bytes()
                for head in (b"X", data[:1]):  # where one is damaged, it may have led to any other
                    path.write_bytes(head + data[1:])
                    engine.journals = Journals(home, engine.catalog)  # as a new daemon has them
                    engine.journals.sweep()
                    assert {*ids.values()} <= set(segments(home))


async def test_what_journals_take_is_told_and_what_a_crash_left_of_them_goes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with asked() as (twins, client):
        monkeypatch.setenv("VERTUI_HOME", str(twins.engine.home.root))
        await ask(client.journal_append, "main", "z" * 9000)
        home, main_ = twins.engine.home.journal, twins.engine.branch("main").id
        before = (await ask(client.store_space)).journals_bytes
        assert before >= file_of(home, main_).stat().st_size + bodies_of(home, main_).stat().st_size
        bodies_of(home, "gone").write_bytes(bytes(3 * MIB))  # a crash came before its entry was written
        file_of(home, "gone too").write_bytes(bytes(MIB))
        assert (await ask(client.store_space)).journals_bytes == before + 4 * MIB
        assert await ask(main, ["store", "du"]) == 0 and ", journals 4.0M," in capsys.readouterr().out
        plan = await upkeep.plan_gc(twins.engine)
        assert plan.frees_bytes == 4 * MIB and "journals" in " ".join(plan.lines)
        assert await ask(client.do, Gc()) == 4 * MIB
        assert (await ask(client.store_space)).journals_bytes == before
        assert await told(client, "main", whole=True) == [("message", "z" * 9000)]


async def test_what_a_lost_catalog_leaves_of_journals_no_sweep_takes() -> None:
    async with asked() as (twins, client):
        await ask(client.journal_append, "main", "said")
        branch = twins.engine.branch("main").id
        twins.engine.catalog.delete_branch(branch)
        assert any(
            "journals" in line for line in rebuild_catalog(twins.engine, find_manifests(twins.engine.store))
        )
        await twins.do("trash empty")
        assert b"said" in (twins.engine.home.journal / "aside" / f"{branch}.journal").read_bytes()
        assert not segments(twins.engine.home.journal)


async def test_who_follows_hears_of_each_entry_and_a_request_sent_again_makes_one() -> None:
    async with asked() as (twins, client):
        await ask(client.journal_append, "main", "0")
        following = await ask(client.journal, "main", follow=True, count=5)
        heard = asyncio.create_task(ask(lambda: [entry.body for entry in islice(following, 3)]))
        for n in (1, 2):
            await ask(client.journal_append, "main", str(n))
        async with asyncio.timeout(SOON_S):
            assert await heard == ["0", "1", "2"]
        last = await ask(lambda: client.journal("main", first=3, follow=True))
        twins.engine.end_events()
        ends = iter(last)
        assert (await ask(next, ends)).body == "2"
        with pytest.raises(DaemonUnavailable):
            await ask(list, ends)
        await ask(following.close)
        path = "/v1/journal/append"
        send = lambda: client._raw(  # noqa: E731
            "POST", path, json.dumps({"branch": "main", "body": "3"}).encode(), {"Request-Id": "k" * 32}
        )
        assert await ask(send) == await ask(send)
        assert [body for _, body in await told(client, "main")] == ["0", "1", "2", "3"]


class OneWaits(ThreadPoolExecutor):
    """Begins with the first that it is given when it is let `go`, and with all others at once."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self._first = True

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        waits, self._first = self._first, False

        def run() -> T:
            assert not waits or self.go.wait(SOON_S)
            return fn(*args, **kwargs)

        return super().submit(run)


async def test_who_follows_misses_nothing_that_came_while_the_newest_were_read(tmp_path: Path) -> None:
    with engine_of(tmp_path) as engine:
        put(engine, "b1", BranchState.RUNNING)
        await engine.journals.append("b1", [NewEntry("note", "0")])
        reads, told = OneWaits(), list[str]()
        asyncio.get_running_loop().set_default_executor(reads)

        async def follow() -> None:
            async for some in engine.journals.show("b1", 0, 5, whole=False, follow=True):
                told.extend(entry.body for entry in some)
                if len(told) == 2:
                    return

        following = asyncio.create_task(follow())
        await asyncio.sleep(0)
        await engine.journals.append("b1", [NewEntry("note", "1")])
        reads.go.set()
        async with asyncio.timeout(SOON_S):
            await following
        assert told == ["0", "1"]


async def test_the_command_line_shows_escapes_finds_exports_and_names_a_flipped_byte(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with asked() as (twins, _):
        monkeypatch.setenv("VERTUI_HOME", str(twins.engine.home.root))

        async def run(*argv: str, given: bytes = b"") -> tuple[int, str, str]:
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
            status = await ask(main, ["journal", *argv])
            said = capsys.readouterr()
            return status, said.out, said.err

        assert (await run("append", "main", "--author", HOSTILE, given=HOSTILE.encode()))[0] == 0
        assert (await run("append", "main", "--kind", "tool_call", given=b"second"))[0] == 0
        status, out, err = await run("append", "main", "--kind", "dream", given=b"")
        assert status == 2 and "message or tool_call" in err
        status, out, err = await run("append", "main", given=b"\xff")
        assert status == 2 and "UTF-8" in err and err.count("\n") == 1
        assert (await run("append", "mian", given=b""))[0] == 4
        status, out, _ = await run("show", "main")
        assert status == 0 and len(out.split("\n")) == 3 and "a\\x1b[2J\\u202e[bold] ⏎ x" in out
        assert "second" in (await run("tail", "main", "-n", "1"))[1]
        assert (await run("grep", "seco", "main"))[1].count("\n") == 1
        assert (await run("grep", "none such", "main"))[:2] == (1, "")
        lines = [json.loads(line) for line in (await run("export", "main"))[1].split("\n")[:-1]]
        assert [line["body"] for line in lines] == [HOSTILE, "second"]
        assert lines[1]["parent_hash"] == lines[0]["hash"]
        spans = [json.loads(line) for line in (await run("export", "main", "--otel"))[1].split("\n")[:-1]]
        assert len(spans) == 2
        many = b'{"body": "one"}\n\n{"body": "two", "kind": "note", "seq": 9}\n'
        await twins.do("up", None, "b")
        assert (await run("append", "b", "--jsonl", given=many))[0] == 0
        assert [line.split()[3] for line in (await run("show", "b"))[1].split("\n")[:-1]] == [
            "message",
            "note",
        ]
        status, _, err = await run("append", "b", "--jsonl", given=b'{"body": "one"}\n{"body": 2}\n')
        assert status == 2 and err.startswith("vertui: line 2 is no entry: ") and err.count("\n") == 1
        assert "1 to 1000 lines at once, these are 0" in (await run("append", "b", "--jsonl"))[2]
        assert (await run("verify"))[:2] == (0, "main  2 entries  whole\nb  2 entries  whole\n")
        path = file_of(twins.engine.home.journal, twins.engine.branch("main").id)
        path.write_bytes(path.read_bytes().replace(b"second", b"sekond"))
        status, _, err = await run("verify", "main")
        assert status == Damaged.exit_status
        assert err == "vertui: journal of main: entry 2: its bytes are not what was written\n"
