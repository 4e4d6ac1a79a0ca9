"""Journals: chained, shared by forks, durable, and whole after a crash at any byte. Random orders print their seed."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from core.errors import Damaged, NoRoom
from core.files import Buffer, Files, disk_error
from core.journal.chain import ChainStretch, entries, holding, newest
from core.journal.check import check
from core.journal.entry import JournalCheck, JournalEntry, JournalHead, NewEntry
from core.journal.record import INLINE_BYTES, hashed_line
from core.journal.segment import bodies_of, file_of, remove
from core.journal.writer import BODIES_KNOWN, JournalWriter
from tests.guests import SOON_S
from tests.twins.engine import in_memory

HOSTILE = "a\x1b[2J\x00\u202e\ud800\n\\x1b [red]"


@pytest.fixture
def home() -> Iterator[Path]:
    with TemporaryDirectory(dir=in_memory()) as directory:
        yield Path(directory) / "journal"


def chain_of(writer: JournalWriter, branch: str) -> list[ChainStretch]:
    found, last = list[ChainStretch](), None
    while branch:
        head, end = writer.end(branch)
        found.insert(0, ChainStretch(writer.directory, branch, end, last))
        branch, last = (head.parent, head.seq) if head else ("", None)
    return found


def writer_of(home: Path, files: Files | None = None) -> JournalWriter:
    return JournalWriter(home, JournalHead, files or Files())


async def add(writer: JournalWriter, branch: str, *bodies: str, **more: Any) -> JournalEntry:
    *_, last = await writer.append(branch, [NewEntry("message", body, "x", **more) for body in bodies])
    assert isinstance(last, JournalEntry)
    return last


def bodies(writer: JournalWriter, branch: str) -> list[str]:
    return [entry.body for entry in entries(chain_of(writer, branch), whole=True)]


async def filled(home: Path, count: int, branch: str = "b1") -> JournalWriter:
    writer = writer_of(home)
    await asyncio.gather(*(add(writer, branch, f"word {n}") for n in range(count)))
    return writer


def forked(writer: JournalWriter, parent: str, child: str) -> None:
    segment = writer.open(parent)
    head, tip = segment.head, segment.tip
    at = (parent, tip.seq, tip.hash) if tip.size else (head.parent, head.seq, head.parent_hash)
    writer.begin(JournalHead(child, *at), kept=False)


class CountingFiles(Files):
    """Counts how often a disk is waited for."""

    def __init__(self) -> None:
        self.syncs = 0

    def fsync(self, path: Path) -> None:
        self.syncs += 1
        super().fsync(path)


async def test_two_who_append_at_once_make_one_chain_with_few_fsyncs(home: Path) -> None:
    disk = CountingFiles()
    writer = writer_of(home, disk)

    async def client(name: str) -> list[int]:
        return [(await add(writer, "b1", f"{name} {n}")).seq for n in range(200)]

    one, two = await asyncio.gather(client("one"), client("two"))
    assert one == sorted(one) and two == sorted(two) and sorted(one + two) == list(range(1, 401))
    assert check("b1", chain_of(writer, "b1")).entries == 400
    assert disk.syncs <= 202  # both wait for the same ones
    before = disk.syncs
    await add(writer, "b1", *map(str, range(1000)))
    for n in range(8):
        writer.begin(JournalHead(f"c{n}", "b1", 400, "h"), kept=False)
    await writer.flush()
    assert disk.syncs == before + 1 and file_of(home, "c7").exists()


async def test_a_request_sent_again_makes_what_is_missing_also_with_a_new_daemon(home: Path) -> None:
    writer = writer_of(home)
    wanted = [NewEntry("note", f"said {n}", key=f"k.{n}") for n in range(3)]
    await writer.append("b1", wanted[:2])
    assert await writer.append("b1", wanted[:1]) == [1]
    assert [one if isinstance(one, int) else one.seq for one in await writer.append("b1", wanted)] == [
        1,
        2,
        3,
    ]
    assert await writer_of(home).append("b1", wanted) == [1, 2, 3]
    assert bodies(writer_of(home), "b1") == ["said 0", "said 1", "said 2"]


async def test_who_waits_for_the_disk_does_not_wait_for_those_who_come_later(home: Path) -> None:
    writer = writer_of(home)

    async def ever() -> None:
        while True:
            await add(writer, "b1", "more")

    others = [asyncio.create_task(ever()) for _ in range(2)]
    writer.note("b1", NewEntry("note", "a verb's"))
    async with asyncio.timeout(SOON_S):
        await writer.flush()
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await writer.flush()
    assert "a verb's" in bodies(writer, "b1")


async def test_any_flipped_byte_is_found_and_named(home: Path) -> None:
    writer = await filled(home, 6)
    forked(writer, "b1", "b2")
    await add(writer, "b2", "y" * (INLINE_BYTES + 1))
    body = home / "b2.bodies"
    for path, places in ((file_of(home, "b1"), 200), (file_of(home, "b2"), 60), (body, 7)):
        data = path.read_bytes()
        for place in range(0, len(data), max(1, len(data) // places)):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            found = check("b2", chain_of(writer_of(home), "b2"))
            line, head_bytes = data[:place].count(b"\n"), data.find(b"\n") + 1
            hit = 1 if "head" in found.problem else line if path.name == "b1.journal" else 7
            assert found.problem and ("head" in found.problem) == (path != body and place < head_bytes)
            assert found.seq in {hit, hit + (data[place] == 0x0A)}, (path.name, place)
        path.write_bytes(data)
    assert check("b2", chain_of(writer_of(home), "b2")) == check("b2", chain_of(writer, "b2"))


async def test_what_is_damaged_takes_no_more_and_is_still_shown(home: Path) -> None:
    await filled(home, 3)
    data = file_of(home, "b1").read_bytes()
    file_of(home, "b1").write_bytes(data[:-20] + b"X" + data[-19:])
    writer = writer_of(home)
    with pytest.raises(Damaged, match="journal verify"):
        await add(writer, "b1", "more")
    assert [entry.seq for entry in entries(chain_of(writer, "b1"))] == [1, 2, 3]


async def test_a_newer_versions_entry_is_kept_shown_raw_and_chained_to(home: Path) -> None:
    writer = await filled(home, 1)
    before = writer.open("b1").tip.hash
    fields = {"v": 2, "seq": 2, "kind": "dream", "wings": [1], "parent_hash": before}
    line = hashed_line(fields)[1]
    with file_of(home, "b1").open("ab") as file:
        file.write(line + b"\n")
    later = writer_of(home)
    await add(later, "b1", "after")
    strange = list(entries(chain_of(later, "b1")))[1]
    assert (strange.seq, strange.version, strange.raw) == (2, 2, line.decode())
    assert check("b1", chain_of(later, "b1")).problem == ""
    assert [entry.seq for entry in holding(chain_of(later, "b1"), "wings") if entry] == [2]


class Full(Files):
    """A disk that takes so many bytes more."""

    def __init__(self, room: int) -> None:
        self.room = room

    def append(self, path: Path, data: Buffer) -> None:
        super().append(path, bytes(data)[: self.room])
        if len(data) > self.room:
            raise disk_error(OSError(28, "No space left on device"), path)


async def test_on_a_full_disk_nothing_is_left_half_written(home: Path) -> None:
    await filled(home, 2)
    data, disk = file_of(home, "b1").read_bytes(), Full(100)
    writer = writer_of(home, disk)
    told = await asyncio.gather(*(add(writer, "b1", str(n)) for n in range(5)), return_exceptions=True)
    assert all(isinstance(one, NoRoom) and "\n" not in str(one) for one in told)
    assert file_of(home, "b1").read_bytes() == data
    noise = "".join(map(str, Random(1).choices(range(10), k=9000)))  # no packing makes little of it
    for branch in ("b3", "b1"):  # the first has nothing yet
        with pytest.raises(NoRoom):
            await add(writer, branch, noise)
        assert bodies_of(home, branch).stat().st_size == 0
    with pytest.raises(NoRoom):
        await add(writer, "b2", "z" * 9000)  # the body fits, packed, and the line does not
    disk.room = 1 << 20
    await add(writer, "b2", "y" * 9000)
    assert check("b2", chain_of(writer, "b2")) == JournalCheck("b2", 1)
    assert (await add(writer, "b1", "room again", noise)).seq == 4
    assert check("b1", chain_of(writer, "b1")) == JournalCheck("b1", 4)
    assert bodies(writer, "b1")[-1] == noise


async def test_a_long_body_that_is_said_again_is_stored_once(home: Path) -> None:
    writer, long = writer_of(home), "z" * 9000
    await add(writer, "b1", long, "short", long)
    once = bodies_of(home, "b1").stat().st_size
    await add(writer, "b1", long)
    assert bodies_of(home, "b1").stat().st_size == once
    await add(writer, "b1", "y" * 9000)
    said = [long, "short", long, long, "y" * 9000]
    assert bodies(writer_of(home), "b1") == said and bodies_of(home, "b1").stat().st_size > once
    others = [f"{n} {long}" for n in range(BODIES_KNOWN)]
    await add(writer, "b1", *others, long)
    assert bodies(writer, "b1") == [*said, *others, long] and len(writer.open("b1").bodies) == BODIES_KNOWN
    assert check("b1", chain_of(writer, "b1")).problem == ""
    data = bodies_of(home, "b1").read_bytes()
    bodies_of(home, "b1").write_bytes(bytes([data[0] ^ 1]) + data[1:])
    assert check("b1", chain_of(writer, "b1")).seq == 1


async def test_one_entry_is_found_among_many_without_reading_the_rest(home: Path) -> None:
    writer = await filled(home, 3000)
    chain = chain_of(writer, "b1")
    for seq in (1, 2, 1500, 2999, 3000, 3001):
        assert [entry.seq for entry in entries(chain, seq)][:2] == [n for n in (seq, seq + 1) if n <= 3000]
    assert [entry.seq for entry in newest(chain, 3)] == [2998, 2999, 3000]
    assert [entry.seq for entry in newest(chain, 5000)] == list(range(1, 3001))
    assert [entry.body for entry in holding(chain, "word 2718") if entry] == ["word 2718"]


@given(kind=st.sampled_from(["message", "other"]), author=st.text(max_size=9), body=st.text(st.characters()))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_said_comes_back_as_it_was(home: Path, kind: str, author: str, body: str) -> None:
    async def round_trip() -> JournalEntry:
        shutil.rmtree(home, ignore_errors=True)
        writer = writer_of(home)
        await writer.append("b1", [NewEntry(kind, body, author), NewEntry(kind, HOSTILE * 900, author)])
        assert check("b1", chain_of(writer, "b1")).entries == 2
        one, long = entries(chain_of(writer_of(home), "b1"), whole=True)
        assert long.body == HOSTILE * 900 and len(next(entries(chain_of(writer, "b1"), 2)).body) < 300
        return one

    found = asyncio.run(round_trip())
    assert (found.kind, found.author, found.body) == (kind, author, body)
    assert bool(found.raw) == (kind == "other")


class JournalModel(RuleBasedStateMachine):
    """Branches of one journal: appended to, forked, and what is written last torn at any byte."""

    @initialize()
    def begin(self) -> None:
        self.directory = TemporaryDirectory(dir=in_memory())
        self.home = Path(self.directory.name) / "journal"
        self.loop = asyncio.new_event_loop()
        self.writer, self.said = writer_of(self.home), {"b0": list[str]()}

    def teardown(self) -> None:
        self.loop.close()
        self.directory.cleanup()

    @rule(pick=st.integers(0, 9), texts=st.lists(st.text(max_size=20), min_size=1, max_size=5))
    def append(self, pick: int, texts: list[str]) -> None:
        branch = self._picked(pick)

        async def all_at_once() -> None:
            await asyncio.gather(*(add(self.writer, branch, text) for text in texts))

        self.loop.run_until_complete(all_at_once())
        self.said[branch] += texts

    @rule(pick=st.integers(0, 9))
    def fork(self, pick: int) -> None:
        parent, child = self._picked(pick), f"b{len(self.said)}"

        async def begun() -> None:
            forked(self.writer, parent, child)
            await self.writer.flush()

        self.loop.run_until_complete(begun())
        self.said[child] = [*self.said[parent]]

    @rule(
        pick=st.integers(0, 9),
        texts=st.lists(st.text(max_size=9), min_size=1, max_size=3),
        cut=st.floats(0, 1),
    )
    def crash(self, pick: int, texts: list[str], cut: float) -> None:
        """Of a batch that nobody was answered, what came to the disk is any part from its beginning."""
        branch = self._picked(pick)
        path = file_of(self.home, branch)
        before = path.stat().st_size if path.exists() else 0
        said = [*self.said[branch]]
        self.append(pick, texts)
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.truncate(before + int((size - before) * cut))
        self.writer = writer_of(self.home)
        found = bodies(self.writer, branch)
        assert found[: len(said)] == said and found == self.said[branch][: len(found)]
        self.said[branch] = found

    @invariant()
    def all_is_there_and_chained(self) -> None:
        for branch, said in self.said.items():
            assert bodies(self.writer, branch) == said
            assert check(branch, chain_of(self.writer, branch)).entries == len(said)

    def _picked(self, pick: int) -> str:
        return list(self.said)[pick % len(self.said)]


def test_forks_and_crashes_in_any_order() -> None:
    run_state_machine_as_test(
        JournalModel,
        settings=settings(max_examples=25, stateful_step_count=12, deadline=None, print_blob=True),
    )


async def test_a_hole_of_a_host_that_died_is_cut_off_and_removal_leaves_nothing(home: Path) -> None:
    await filled(home, 2)
    with file_of(home, "b1").open("ab") as file:
        file.write(b'{"v":1,"seq":3,' + bytes(4096) + b'"}\n')
    writer = writer_of(home)
    assert bodies(writer, "b1") == ["word 0", "word 1"]
    await add(writer, "b1", "z" * 9000)
    assert bodies(writer_of(home), "b1")[-1] == "z" * 9000
    assert json.loads(file_of(home, "b1").read_bytes().split(b"\n")[-2])["seq"] == 3
    remove(home, "b1")
    remove(home, "b1")
    assert list(home.iterdir()) == []
