"""Recorded commands run again: which, what is said of each, and none of them twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from msgspec.structs import replace

from core.engine import replay as replaying
from core.engine.live import Live
from core.engine.recording import CommandRecord
from core.engine.recovery import merged
from core.engine.replay import CUT_OFF, InCommit, Replay, Replayable, ahead, replayable
from core.engine.stirring import commands_left
from core.guest.agent.wire import WINDOW_BYTES
from core.guest.client import AgentClient
from core.guest.streams import CommandExit
from core.journal.entry import EntryKind, JournalExec, NewEntry, Ranges
from core.journal.means import MeansPacker
from core.journal.recovered import ReplayStep, StepEnd
from core.model import BranchState, ExecRequest
from tests.twins.engine import Twins, twin_engine
from tests.unit.engines import HEAD, engine_of, put

RUN = NewEntry(EntryKind.EXEC, "", exec=JournalExec(("make",), exit=0))
SAID = NewEntry(EntryKind.MESSAGE, "plan")


def mark(*tries: tuple[int, int], lost: bool = True) -> NewEntry:
    return NewEntry(EntryKind.RESTORE, "", tries=tries, lost=lost)


def ran(command: int, **told: Any) -> NewEntry:
    return NewEntry(EntryKind.EXEC, "", exec=JournalExec(("make",), command, **told))


@pytest.mark.parametrize(
    ("said", "seen", "wanted", "tried"),
    [
        ([RUN, RUN, SAID, RUN], 1, [2, 4], ()),
        ([RUN, RUN, mark((2, 2))], 1, [2], ()),  # lost, and recovered without a replay
        ([RUN, RUN, mark((2, 2)), RUN], 1, [4], ((2, 2),)),  # and worked on since
        ([RUN, RUN, mark((2, 2)), mark((2, 3))], 1, [2], ()),  # lost again at once
        (
            [RUN, RUN, RUN, mark((2, 3)), mark((3, 3)), RUN],
            1,
            [2, 6],
            ((3, 3),),
        ),  # the replay had stopped at 3
        ([RUN, RUN, mark((2, 2), lost=False)], 1, [], ((2, 2),)),  # taken back by somebody
        ([RUN, RUN, mark((2, 2), lost=False), RUN], 1, [4], ((2, 2),)),
        ([RUN], 1, [], ()),
        # it was still followed when its machine was taken back
        ([RUN, mark((1, 1), lost=False), ran(9, duration_ms=5000, cut=True), RUN], 0, [4], ((1, 1),)),
    ],
)
async def test_what_the_lost_machine_had_done_is_run_again(
    tmp_path: Path, said: list[NewEntry], seen: int, wanted: list[int], tried: Ranges
) -> None:
    with engine_of(tmp_path) as engine:
        put(engine, "b1", BranchState.LOST)
        await engine.journals.append("b1", said)
        tip = engine.journals.writer.open("b1").durable
        found = replayable(engine.journals.chain("b1"), seen, tip.mark, tip.seq)
    assert [entry.seq for entry in found.commands] == wanted and found.tries == tried


async def test_a_command_followed_under_two_daemons_is_one(tmp_path: Path) -> None:
    begun = ran(7, cwd="/work", output_hash="")
    with engine_of(tmp_path) as engine:
        put(engine, "b1", BranchState.LOST)
        await engine.journals.append("b1", [begun, ran(8, exit=0), ran(7, exit=3, partial=True)])
        [other, one] = replayable(engine.journals.chain("b1"), 0, 0, 3).commands
    assert other.exec and other.exec.command == 8
    assert one.exec and (one.exec.cwd, one.exec.exit, one.exec.partial) == ("/work", 3, False)


async def test_what_a_client_sent_after_a_daemon_had_died_is_not_left_out(tmp_path: Path) -> None:
    """Its entry has what was sent before, and a replay would end there."""
    begun, ended = ran(7, stdin_bytes=4), ran(7, exit=0, stdin_bytes=9)
    with engine_of(tmp_path) as engine:
        put(engine, "b1", BranchState.LOST)
        await engine.journals.append("b1", [replace(begun, given=given(b"four")), ended])
        chain = engine.journals.chain("b1")
        [step] = ahead(chain, replayable(chain, 0, 0, 2), 0.0)
    assert (step.end, step.why) == (StepEnd.HELD, "of its input, 9 bytes, not all is kept")


def given(stdin: bytes) -> bytes:
    packer = MeansPacker({})
    packer.add(stdin)
    return packer.finish()


async def test_the_end_of_a_command_left_to_itself_is_not_run_again(tmp_path: Path) -> None:
    with engine_of(tmp_path) as engine:
        put(engine, "b1", BranchState.LOST)
        server, hung_up = ran(7, left=True), ran(8)
        ends = [ran(7, left=True, exit=143), ran(8, left=True, exit=129), ran(3, left=True, exit=0)]
        await engine.journals.append("b1", [server, hung_up, *ends])
        found = replayable(engine.journals.chain("b1"), 0, 0, 5).commands
    assert [(one.exec.command, one.exec.exit) for one in found if one.exec] == [(7, None), (8, None)]


def test_ranges_are_merged() -> None:
    assert merged([(5, 7), (1, 2), (3, 4), (6, 9), (11, 11)]) == ((1, 9), (11, 11))


@asynccontextmanager
async def trunk(client: AgentClient) -> AsyncIterator[tuple[Twins, Live]]:
    """A trunk whose guest's agent is a real one, which runs on this machine."""
    with twin_engine() as twins:
        twins.begin()
        await twins.do("up")
        (live,) = twins.engine.machines.live.values()
        own, live._agent = live._agent, client
        try:
            yield twins, live
        finally:
            live._agent = own
            await twins.close()


async def record(twins: Twins, live: Live, argv: Sequence[str], stdin: bytes = b"", **asked: Any) -> int:
    """As the daemon runs a command; its number in the guest."""
    request = ExecRequest("main", tuple(argv), stdin=bool(stdin), **asked)
    stream = await (await live.agent()).exec(
        request.argv, env=request.env, cwd=request.cwd, stdin=request.stdin, timeout_s=request.timeout_s
    )
    kept = CommandRecord(twins.engine.journals, live.branch, HEAD, request, stream.id)
    if stdin:
        kept.given(stdin)
        await stream.write_stdin(stdin)
        await stream.eof()
    async for item in stream:
        kept.said(item)
    await kept.kept()
    return stream.id


async def again(
    twins: Twins, live: Live, *, seen: int = 0, forget: bool = True, outputs: bool = False
) -> tuple[tuple[ReplayStep, ...], tuple[ReplayStep, ...]]:
    """As after a loss; the guest is told to `forget` what it ran, as if it had been started from before that."""
    agent, journals = await live.agent(), twins.engine.journals
    if forget:
        for command in await agent.ps():
            await agent.release(command.id)
    chain, tip = journals.chain(live.branch), journals.writer.open(live.branch).durable
    found = replayable(chain, seen, tip.mark, tip.seq)
    replay = Replay(twins.engine, live, "main", chain, found, outputs, lambda: None)
    return await replay.take_up(), await replay.run()


async def test_commands_run_again_as_they_were(client: AgentClient, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    async with trunk(client) as (twins, live):
        await record(twins, live, ("sh", "-c", "cat > $NAME; pwd >> $NAME; echo $NAME"), b"input\n", cwd=str(work),
                     env={"NAME": "file", "OTHER": "a b"})  # fmt: skip
        await record(twins, live, ("sh", "-c", "echo $OTHER; exit 3"), env={"OTHER": "x"})
        await record(twins, live, ("sh", "-c", "date +%N; cat /proc/sys/kernel/random/uuid"))
        made = (work / "file").read_text()
        assert made == f"input\n{work}\n"
        (work / "file").unlink()
        _, steps = await again(twins, live)
        assert (work / "file").read_text() == made
        assert [(step.seq, step.end) for step in steps] == [
            (1, StepEnd.SAME), (2, StepEnd.SAME), (3, StepEnd.DIVERGED)
        ]  # fmt: skip
        assert "it seems to read the clock and randomness" in steps[2].why
        _, steps = await again(twins, live, outputs=True)
        assert steps[-1].seq == 3 and steps[-1].end is StepEnd.OTHER


async def test_it_stops_where_a_command_ends_otherwise_or_cannot_be_run_as_it_was(
    client: AgentClient, tmp_path: Path
) -> None:
    gone = tmp_path / "there"
    gone.touch()
    for why, argv, asked in (
        ("it ended with 1, and had with 0", ("test", "-e", str(gone)), {}),
        ("the values of its variables are not kept (K)", ("true",), {"env": {"K": "v"}, "recorded": "none"}),
        ("what was typed at its terminal is not kept", ("true",), {"stdin": b"x", "tty": True}),
    ):
        async with trunk(client) as (twins, live):
            await record(twins, live, argv, **asked)
            await record(twins, live, ("touch", str(tmp_path / "after")))
            (tmp_path / "after").unlink()
            gone.unlink(missing_ok=True)
            _, steps = await again(twins, live)
            assert [(step.seq, step.why) for step in steps] == [(1, why)] and not (
                tmp_path / "after"
            ).exists()


async def test_one_that_was_left_and_does_not_take_its_input_is_not_waited_for_for_ever(
    client: AgentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "LEAST_S", 0.5)
    async with trunk(client) as (twins, live):
        much = bytes(2 * WINDOW_BYTES)
        left = JournalExec(
            ("sleep", "60"), 9, left=True, stdin_bytes=len(much), stdin_hash=blake3(much).hexdigest()
        )
        new = NewEntry(EntryKind.EXEC, "", exec=left, given=given(much))
        await twins.engine.journals.append(live.branch, [new])
        async with asyncio.timeout(20):
            _, [step] = await again(twins, live)
        assert (step.end, step.why) == (StepEnd.OTHER, "it has not taken its input in 0 s, and had in 0.0 s")


async def test_what_was_cut_off_by_the_end_of_its_machine_is_named_and_not_run(
    client: AgentClient, tmp_path: Path
) -> None:
    """A dry run says the same."""
    async with trunk(client) as (twins, live):

        def foretold(made: float) -> list[tuple[StepEnd, str]]:
            chain, tip = twins.engine.journals.chain(live.branch), twins.engine.journals.last(live.branch)
            return [(step.end, step.why) for step in ahead(chain, replayable(chain, 0, 0, tip), made)]

        await record(twins, live, ("sh", "-c", f"date > {tmp_path}/stamp"))
        off = JournalExec(("touch", str(tmp_path / "off")), 99, cut=True)
        await twins.engine.journals.append(live.branch, [NewEntry(EntryKind.EXEC, "", exec=off)])
        read, cut = "it seems to read the clock", (StepEnd.CUT, CUT_OFF)
        assert foretold(0.0) == [(StepEnd.AHEAD, read), cut]
        assert foretold(time.time() + 9)[0] == (StepEnd.AHEAD, "unless the commit is in the middle of it")
        _, steps = await again(twins, live)
        assert [(step.end, step.why) for step in steps] == [(StepEnd.SAME, read), cut]
        await record(twins, live, ("true",))
        _, steps = await again(twins, live)
        assert [step.end for step in steps] == [StepEnd.SAME, StepEnd.HELD], "it went on after that"
        assert [(step.end, step.why) for step in steps] == [(StepEnd.SAME, read), foretold(0.0)[1]]
        assert not (tmp_path / "off").exists()


async def test_what_a_commit_is_in_the_middle_of_is_waited_for(client: AgentClient, tmp_path: Path) -> None:
    """The guest knows of two commands: of one the journal tells how it ended later, of the other nothing."""
    async with trunk(client) as (twins, live):
        file, go = tmp_path / "file", tmp_path / "go"
        line = f"while [ ! -e {go} ]; do sleep 0.02; done; echo x >> {file}; exit %d"
        agent = await live.agent()
        for code in (4, 5):
            begun = await agent.exec(["sh", "-c", line % code])
            await begun.detach()
        told = JournalExec(("sh", "-c", line % 4), 1, exit=4)
        await twins.engine.journals.append(live.branch, [NewEntry(EntryKind.EXEC, "", exec=told)])
        asyncio.get_running_loop().call_later(0.2, go.touch)
        taken_up, steps = await again(twins, live, forget=False)
        assert file.read_text() == "x\nx\n", "each once"
        assert [step.end for step in steps] == [StepEnd.SAME]
        assert [(step.seq, step.why) for step in taken_up] == [(2, "it ended with 5")]
        await twins.engine.journals.writer.flush()
        inside = await InCommit.of(agent)
        chain = twins.engine.journals.chain(live.branch)
        assert not inside.unrecorded(chain, Replayable(2, 2)), "the next one finds it told"


async def test_the_end_of_a_command_is_on_disk_before_anybody_hears_of_it(tmp_path: Path) -> None:
    with engine_of(tmp_path) as engine:
        put(engine, "b1", BranchState.RUNNING)
        kept = CommandRecord(engine.journals, "b1", HEAD, ExecRequest("b1", ("true",)), 1)
        kept.said(CommandExit(0, None, False, 0, 0))
        await kept.kept()
        assert engine.journals.durable("b1") == 1


async def test_a_command_that_nobody_follows_is_told_of_once_it_has_ended(
    client: AgentClient, tmp_path: Path
) -> None:
    """By its guest, and of that alone is a branch known to have changed that no sign comes of."""
    async with trunk(client) as (_, live):
        agent, began, go = await live.agent(), time.time(), tmp_path / "go"
        begun = await agent.exec(["sh", "-c", f"while [ ! -e {go} ]; do sleep 0.02; done"])
        await begun.detach()
        assert await commands_left(live, began) == (True, False)
        go.touch()
        async with asyncio.timeout(20):
            while await commands_left(live, began) != (False, True):
                await asyncio.sleep(0.05)
        assert await commands_left(live, time.time() + 1) == (False, False)
