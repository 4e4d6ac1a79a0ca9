"""Notes from inside: said by a program, kept by the agent, written down by the host, and acknowledged only then."""

import asyncio
import json
import random
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.daemon import streams
from core.daemon.client import Client
from core.engine import capture, guest_notes, recovery, start
from core.engine.guest_notes import BURST_S, BYTES_PER_S, NOTES_PER_S, NotePace
from core.engine.journals import Journals
from core.errors import GuestFailed
from core.guest.agent import note as program
from core.guest.agent.notes import MOST_WAITING
from core.guest.answers import NotePiece
from core.guest.client import AgentClient
from core.guest.notes import put_together
from core.home import Home, find_home
from core.journal.check import check
from core.journal.entry import JournalEntry
from core.model import ExecRequest
from core.verbs.fork import Fork
from tests.guests import SOON_S, Ran, collect
from tests.twins.engine import Twins, twin_engine
from tests.twins.served import served
from tests.unit.agents import Line, connected
from tests.unit.test_journal import Full
from vertui.cli import main

HOSTILE = "a\x1b[2J\u202e[bold]\nx"


# -- the program and the agent -----------------------------------------------------------------------------------


def saying(line: Line, text: bytes, timeout_s: float = SOON_S) -> "asyncio.Task[int]":
    said = asyncio.to_thread(program.note, "message", "planner", text, timeout_s, line.note_address)
    return asyncio.create_task(said)


async def noted(client: AgentClient) -> None:
    async with asyncio.timeout(SOON_S):
        await client.noted()


async def test_a_note_of_any_length_comes_whole_and_waits_for_its_answer(line: Line) -> None:
    async with connected(line):  # it has begun to listen
        pass
    for text in (b"", b"plan", "ü\0".encode() * (program.MOST_BYTES // 3)):
        said = saying(line, text)
        async with connected(line) as client:
            await noted(client)
            found = await client.note()
            assert found is not None and found.text.encode() == text
            assert (found.kind, found.author) == ("message", "planner") and not said.done()
        async with connected(line) as client:  # a line that broke before the answer: it is told of again
            await noted(client)
            assert await client.note() == found
            await client.answer_note(found.id, 7)
            assert await said == 7 and await client.note() is None
            await client.answer_note(found.id, 8)  # nobody is there any more


async def test_what_prevents_it_is_said_and_who_leaves_is_forgotten(line: Line, client: AgentClient) -> None:
    said = saying(line, b"plan")
    await noted(client)
    found = await client.note()
    assert found is not None
    await client.answer_note(found.id, 0, "the disk is full")
    with pytest.raises(program.CannotNote, match="the disk is full"):
        await said
    with pytest.raises(program.CannotNote, match="nobody has acknowledged it within"):
        await saying(line, b"late", 0.3)
    async with asyncio.timeout(SOON_S):
        while await client.note() is not None:
            await asyncio.sleep(0.01)
    assert await client.ping() is False


async def test_a_frozen_guest_is_heard_when_it_is_thawed(line: Line, client: AgentClient) -> None:
    await client.freeze(1.0)
    said = saying(line, b"plan")
    await asyncio.sleep(0.2)
    assert await client.ping() is True and not said.done()
    await client.thaw()
    await noted(client)
    found = await client.note()
    assert found is not None
    await client.answer_note(found.id, 3)
    assert await said == 3


async def test_whatever_is_said_to_the_agent_it_answers_or_hangs_up(line: Line, client: AgentClient) -> None:
    told: list[tuple[bytes, str]] = [
        (b"\xff\n", "does not say what it is"),
        (b"[]\n", "does not say what it is"),
        (b'{"size": "x", "kind": "a", "author": "b"}\n', "does not say what it is"),
        (b'{"size": 1e999, "kind": "a", "author": "b"}\n', "does not say what it is"),
        (b'{"size": NaN, "kind": "a", "author": "b"}\n', "does not say what it is"),
        (b"[" * 4000 + b"\n", "does not say what it is"),
        (b'{"size": 99999999, "kind": "a", "author": "b"}\n', "bytes at most"),
        (b'{"size": 1, "kind": "a", "author": "b"}\nmore', "more was said"),
        (b"x" * 5000, "too long to say"),
    ]
    for data, problem in told:
        assert problem in (await asyncio.to_thread(exchanged, line.note_address, data)), data
    idle = [socket.socket(socket.AF_UNIX) for _ in range(MOST_WAITING)]
    for one in idle:
        one.connect(line.note_address)
    said = saying(line, b"after them")
    await asyncio.sleep(0.1)
    assert await client.note() is None  # all places are taken, and the agent answers the host
    for one in idle:
        one.close()
    await noted(client)
    found = await client.note()
    assert found is not None and found.text == "after them"
    await client.answer_note(found.id, 1)
    assert await said == 1


def exchanged(address: str, data: bytes) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SOON_S)
        connection.connect(address)
        connection.sendall(data)
        return str(json.loads(connection.recv(4096)).get("problem"))


def test_the_program_says_in_one_line_what_it_cannot() -> None:
    cases: list[tuple[list[str], bytes, int, str]] = [
        (["--timeout", "0.1", "x"], b"", 1, "vertui-note: no agent takes notes here: "),
        ([], b"\xff\xfe", 1, "vertui-note: the text is not UTF-8: byte 0 is 0xff"),
        ([], bytes(program.MOST_BYTES + 1), 1, "vertui-note: standard input has more than the 1048576 bytes"),
        (["--kind", "exec", "x"], b"", 2, "invalid choice: 'exec'"),
        (["--timeout", "-1", "x"], b"", 2, "invalid seconds value"),
    ]
    for words, given_, status, said in cases:
        argv = [sys.executable, "-ISB", str(Path(program.__file__)), *words]
        done = subprocess.run(argv, input=given_, capture_output=True, check=False)
        assert done.returncode == status and said in done.stderr.decode(), words
        assert status == 2 or done.stderr.count(b"\n") == 1


PIECES = st.builds(
    NotePiece, st.sampled_from(["", "a", "b"]), st.just("note"), st.just("x"), st.integers(0, 4),
    st.sampled_from(["", "YQ==", "YWI=", "!", "YWJjZGVmZ2g="]),
)  # fmt: skip


@given(st.lists(PIECES, min_size=1, max_size=6))
def test_answers_of_a_hostile_agent_make_a_note_or_fail(pieces: list[NotePiece]) -> None:
    async def ask(at: int) -> NotePiece:
        asked.append(at)
        return pieces[len(asked) % len(pieces)]

    asked: list[int] = []
    try:
        found = asyncio.run(put_together(ask))
        assert found is None or len(found.text) <= 4
    except GuestFailed:
        pass
    assert len(asked) <= 128


def test_who_says_much_waits_and_the_rest_has_a_burst() -> None:
    pace = NotePace()
    burst = int(BURST_S * NOTES_PER_S)
    assert sum(pace.pay(0, 1000.0) for _ in range(burst)) == 0.0
    assert pace.pay(0, 1000.0) == pytest.approx(1 / NOTES_PER_S)
    assert pace.pay(BYTES_PER_S, 1000.0) == pytest.approx(1 + 2 / NOTES_PER_S)
    assert pace.pay(0, 2000.0) == 0.0


# -- the host ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def listening() -> AsyncIterator[Twins]:
    """A trunk whose notes are taken."""
    with twin_engine() as twins:
        twins.begin()
        await twins.do("up", None, "main")
        watching = asyncio.create_task(guest_notes.watch(twins.engine))
        try:
            yield twins
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await twins.close()


async def answered(twins: Twins, branch: str) -> None:
    """Until a branch's guest waits for no answer."""
    async with asyncio.timeout(SOON_S):
        while twins.machine(branch).guest.notes:
            await asyncio.sleep(0.001)


async def told(twins: Twins, branch: str) -> list[JournalEntry]:
    journals, row = twins.engine.journals, twins.engine.branch(branch)
    return [one async for some in journals.show(row.id, 0, 0, whole=True, follow=False) for one in some]


async def test_a_note_is_an_entry_with_its_author_and_is_known_to_be_a_guests() -> None:
    async with listening() as twins:
        guest = twins.machine("main").guest
        twins.machine("main").say(HOSTILE, "message", "vertui")
        twins.machine("main").say("for a model", "wait")
        await answered(twins, "main")
        one, two = await told(twins, "main")
        assert (one.kind, one.author, one.body, one.guest) == ("message", "vertui", HOSTILE, True)
        assert (two.kind, two.body, two.commit) == ("wait", "for a model", twins.engine.branch("main").head)
        assert [seq for _, seq in guest.acknowledged] == [1, 2]
        for kind in ("exec", "score", "restore", "fork", "\x1b[2J", ""):
            twins.machine("main").say("forged", kind)
        await answered(twins, "main")
        assert len(await told(twins, "main")) == 2
        assert {*guest.refused} == {"a note may be of kind note, message, tool_call, tool_result, wait"}
        twins.engine.journals = Journals(twins.engine.home.journal, twins.engine.catalog, Full(0))
        twins.machine("main").say("too much")
        await answered(twins, "main")
        assert guest.refused[-1] == "it was not written: the host's disk is full"


async def test_a_note_that_waits_at_a_fork_is_one_of_each_child_and_pausing_loses_none() -> None:
    async with listening() as twins:
        await twins.do("pause", "main")
        twins.machine("main").say("which way?")
        await asyncio.sleep(0.05)
        assert twins.machine("main").guest.notes
        await twins.do("fork", "main", 2, "b")
        for name in ("b1", "b2"):
            await answered(twins, name)
            assert [entry.body for entry in await told(twins, name)] == ["which way?"]
        await twins.do("resume", "main")
        await answered(twins, "main")
        assert [entry.kind for entry in await told(twins, "main")] == ["fork", "note"]


async def test_a_verb_that_takes_long_delays_a_note_and_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_notes, "MOST_PAUSES", 1)
    async with listening() as twins:
        async with twins.engine.verbs.changing:
            twins.machine("main").say("meanwhile")
            await asyncio.sleep(0.2)
            assert twins.machine("main").guest.notes and not await told(twins, "main")
        await answered(twins, "main")
        assert [entry.body for entry in await told(twins, "main")] == ["meanwhile"]


async def test_what_waits_in_a_commit_is_said_after_its_branch_was_brought_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when it takes long to write down from where the branch goes on."""
    started = start.start_again

    async def slowly(*given: Any, **more: Any) -> Any:
        row = await started(*given, **more)
        await asyncio.sleep(0.5)
        return row

    monkeypatch.setattr(guest_notes, "AGAIN_S", 0.01)
    for verb, module in (("resume", capture), ("recover", recovery)):
        monkeypatch.setattr(module, "start_again", slowly)
        async with listening() as twins:
            await twins.do("pause", "main")
            twins.machine("main").say("which way?")
            await twins.do("commit", "main")
            await twins.do("journal append", "main", "lost")
            await twins.crash("main")
            await twins.do(verb, "main")
            await answered(twins, "main")
            kinds = [(one.kind, one.tried) for one in await told(twins, "main")]
            assert kinds[-2:] == [("restore", False), ("note", False)], verb


async def test_a_note_waits_for_no_other_branch_that_is_brought_back_nor_for_a_replay() -> None:
    async with listening() as twins:
        with twins.engine.verbs.working("r", "resume"), twins.engine.verbs.working("s", "recover"):
            twins.machine("main").say("meanwhile")
            await answered(twins, "main")


async def test_an_image_of_before_is_told_of_and_a_guests_word_is_shown_as_such(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with listening() as twins:
        home = find_home(str(twins.engine.home.root))
        home.make_runtime()
        twins.engine.home = Home(home.root, home.runtime)
        monkeypatch.setenv("VERTUI_HOME", str(home.root))
        twins.machine("main").say(HOSTILE, "message", "you\x1b[2J")
        await answered(twins, "main")
        async with served(twins) as client:
            assert await asyncio.to_thread(main, ["journal", "show", "main"]) == 0
            assert "  message      you\\x1b[2J (guest)  a\\x1b[2J\\u202e[bold] ⏎ x" in capsys.readouterr().out
            live = twins.engine.machines.live[twins.engine.branch("main").id]
            twins.machine("main").guest.protocol = 3
            await (await live.agent()).close()
            for words in (("vertui-note", "x"), ("vertui-note x",)):
                with pytest.raises(GuestFailed, match="of an earlier version, without vertui-note"):
                    await asyncio.to_thread(_run, client, ExecRequest("main", words))


def _run(client: Client, request: ExecRequest) -> Ran:
    with streams.run(client.home, request) as stream:
        return collect(stream)


async def moves(twins: Twins, rng: random.Random, count: int) -> None:
    """Notes and verbs side by side in any order."""
    points: list[str] = []
    for step in range(count):
        names = [row.name for row in twins.engine.catalog.branches() if row.id in twins.engine.machines.live]
        name = rng.choice(names)
        for _ in range(rng.randrange(4)):
            twins.machine(rng.choice(names)).say(f"{step}")
        if rng.random() < 0.5:
            await asyncio.sleep(rng.random() * 0.01)
        match rng.randrange(7 if len(names) < 8 else 5):
            case 0:
                await twins.do("commit", name, f"point {step}")
                points.append(twins.engine.branch(name).head)
            case 1 if own := [one for one in points if twins.engine.catalog.commit(one).branch == name]:
                await twins.do(
                    "restore", name, rng.choice(own)
                )  # another's chain has entries that it has not
            case 2:  # another daemon
                for each in names:
                    await answered(twins, each)
                await twins.engine.journals.writer.flush()
                twins.engine.journals = Journals(twins.engine.home.journal, twins.engine.catalog)
            case 3:
                await twins.crash(name)
                await twins.do(rng.choice(("resume", "recover")), name)
            case 5:
                await twins.do("fork", name, rng.randrange(1, 3), f"c{step}x")
            case 6 if points:
                point = rng.choice(points)
                maker = twins.engine.journals.maker(twins.engine.catalog.commit(point))
                seq = rng.randrange(twins.engine.journals.last(maker) + 1)
                known = twins.engine.catalog.commit(point).journal_position
                await twins.ask(Fork(point, prefix=f"w{step}", with_journal=max(seq, known)))


async def test_a_machine_knows_of_just_the_notes_that_are_not_tried_in_its_journal() -> None:
    """Whatever is forked, committed, restored and lost meanwhile: context and machine go back together."""
    seed = random.randrange(10**9)
    print("seed", seed)
    async with listening() as twins:
        await moves(twins, random.Random(seed), 25)
        for row in twins.engine.catalog.branches():
            if row.id not in twins.engine.machines.live:
                continue
            await answered(twins, row.name)
            known = [tuple(one) for one in twins.machine(row.name).guest.acknowledged]
            mine = [entry for entry in await told(twins, row.name) if entry.guest]
            there = [(_id(entry), entry.seq) for entry in mine if not entry.tried]
            assert there == known, (seed, row.name)
            found = check(row.name, twins.engine.journals.chain(row.id))
            assert not found.problem, (seed, found)


def _id(entry: JournalEntry) -> Any:
    return entry.key.removeprefix("guest:").partition(".")[0]
