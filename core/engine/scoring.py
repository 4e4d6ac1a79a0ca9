"""Scores that commands give: a child of a fork is scored by what its own command prints, or by another one.

What is to be scored stands in the branch's row, so it outlives the daemon; the command runs in the guest, and goes on
with it. Nothing is asked of a guest at work: its agent says when the command has ended.
"""

import asyncio
import math
import re
from functools import partial

from core.catalog_values import BranchRow
from core.commands import EXIT, PRINTED, Scoring
from core.engine.attending import attend
from core.engine.change import Judgement
from core.engine.context import Engine
from core.engine.glance import glance
from core.engine.guests import output_of
from core.engine.live import Live
from core.engine.operations import note
from core.errors import GuestFailed, VertuiError
from core.guest.client import AgentClient
from core.guest.streams import CommandExit, CommandOutput, CommandStream, StreamName
from core.journal.entry import EntryKind
from core.model import Event
from core.patience import patient

TAIL_BYTES = 4096  # of output: the last number stands in its last lines
GIVEN_BYTES = 64 * 1024  # of output that a command which scores may read: a quarter of a window of input
AT_ONCE_BYTES = (
    64 * 1024
)  # of output between two pauses: of what is printed faster the guest drops what nobody reads
PAUSE_S = 0.1
AGAIN_S = 2.0  # until a line to a guest that broke is tried again
SCORING_S = patient(600.0)  # that a command which scores may take
NUMBER = re.compile(rb"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?", re.IGNORECASE)
SEQUENCE = re.compile(rb"\x1b\[[0-9;:?]*[ -/]*[@-~]")  # colours have numbers in them
LONGEST_REASON = 200


def expect(engine: Engine, branch: str, command: int, rule: str) -> None:
    """Have a command of a branch's guest score it when it ends."""
    row = engine.catalog.change_branch(branch, scoring=Scoring(command, rule))
    engine.events.publish("branch", row.name, f"{row.name}: command {command} scores it when it ends")


async def watch(engine: Engine) -> None:
    """For ever: score what is to be scored, as soon as it can be."""
    await attend(engine, partial(_to_score, engine), _score)


def _to_score(engine: Engine, event: Event | None) -> list[str]:
    """Of the branch that an event names, or of all, those that can be scored."""
    catalog = engine.catalog
    if event is None:
        rows = catalog.branches()
    else:
        named = catalog.named(event.subject) if event.kind == "branch" else None
        rows = [named] if named is not None else []
    return [row.id for row in rows if row.scoring is not None and row.id in engine.machines.live]


async def _score(engine: Engine, branch: str) -> None:
    """Until it is scored, or does not run any more; that it runs again is an event."""
    while (row := _pending(engine, branch)) is not None and row.scoring is not None:
        try:
            _write(engine, row, await _judged(engine.machines.live[branch], row.scoring))
        except VertuiError:
            await asyncio.sleep(AGAIN_S)


def _pending(engine: Engine, branch: str) -> BranchRow | None:
    return engine.catalog.branch(branch) if engine.running(branch) else None


async def _judged(live: Live, scoring: Scoring) -> Judgement:
    """What is to be written on a branch once its command has ended. GuestFailed when the guest cannot be asked."""
    stream = await _attached(await live.agent(), scoring.command)
    if stream is None:
        return Judgement(None, "not scored: its command is gone")
    tail, read = b"", 0
    async for item in stream:
        if isinstance(item, CommandExit):
            live.may_work = True
            await glance(live)  # how it ended is told together with the score
            return await _by_rule(live, scoring.rule, item, tail)
        tail, read = _read(item, tail), read + len(item.data)
        if read > AT_ONCE_BYTES:
            read = 0
            await asyncio.sleep(PAUSE_S)
    raise GuestFailed("the command was followed no further")


async def _attached(agent: AgentClient, command: int) -> CommandStream | None:
    """What a command prints, from its beginning; None where the guest has no such command."""
    try:
        return await agent.attach(command)
    except GuestFailed:
        if all(one.id != command for one in await agent.ps()):
            return None
        raise


async def _by_rule(live: Live, rule: str, ended: CommandExit, printed: bytes) -> Judgement:
    if rule == EXIT:
        return Judgement(1.0 if ended.code == 0 else 0.0, "")
    if rule == PRINTED:
        return by_output(ended, printed)
    return await _by_command(live, rule, ended.code, printed)


def _read(item: CommandOutput, tail: bytes) -> bytes:
    return (tail + item.data)[-GIVEN_BYTES:] if item.stream is StreamName.STDOUT else tail


def by_output(ended: CommandExit, printed: bytes) -> Judgement:
    """The last number that a command printed, if it ended well."""
    if ended.timed_out:
        return Judgement(None, "not scored: its time limit was over")
    if ended.code:
        return Judgement(None, f"not scored: its command ended with {ended.code}")
    return _of_number(printed)


async def _by_command(live: Live, rule: str, code: int, printed: bytes) -> Judgement:
    """What a command finds: STATUS tells it how the branch's own has ended, and its input is what that printed last."""
    argv = ("sh", "-c", f"export STATUS={code}\n{rule}")
    try:
        return _of_number(await output_of(live, argv, SCORING_S, printed))
    except GuestFailed as error:
        if live.lost or live.ended or live.closing:
            raise
        return Judgement(None, f"not scored: {error}"[:LONGEST_REASON])


def _of_number(printed: bytes) -> Judgement:
    found = NUMBER.findall(SEQUENCE.sub(b"", printed[-TAIL_BYTES:]))
    if not found or not math.isfinite(value := float(found[-1])):
        return Judgement(None, "not scored: no number was printed")
    return Judgement(value, "")


def _write(engine: Engine, row: BranchRow, judged: Judgement) -> None:
    """Write it down, unless somebody has scored the branch meanwhile, or it is to be scored otherwise."""
    now = engine.catalog.branch(row.id)
    if now.scoring != row.scoring:
        return
    told = f"scored {judged.score:g}" if judged.score is not None else judged.note
    engine.catalog.change_branch(row.id, scoring=None, score=judged.score, note=judged.note or now.note)
    note(engine, "score", f"{now.name}: {told}")
    if judged.score is not None:
        engine.journals.note(row.id, EntryKind.SCORE, f"{judged.score:g}", now.head)
    engine.events.publish("branch", now.name, f"{now.name}: {told}")
