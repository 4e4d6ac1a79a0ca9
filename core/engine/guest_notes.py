"""Notes of guests: what programs say there by `vertui-note`, appended to the journals of their branches.

A guest's agent tells that there is a note; it is asked for when the branch's pace allows, written down, and only then
acknowledged. A note that waits at a capture waits in each machine made of that. One that was written down and not yet
acknowledged is asked for a second time by such a machine: it is known by its id, and is no second entry.

Nothing of a note is trusted: it is of few kinds, none that says what vertui itself does, and its entry tells that it
came from inside.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from core.engine.attending import attend
from core.engine.context import Engine
from core.engine.live import Live
from core.errors import GuestFailed, NoRoom, VertuiError
from core.guest.client import AgentClient
from core.guest.notes import GuestNote
from core.journal.entry import EntryKind, NewEntry
from core.model import Event, OperationState

KINDS = (EntryKind.NOTE, EntryKind.MESSAGE, EntryKind.TOOL_CALL, EntryKind.TOOL_RESULT, EntryKind.WAIT)
"""What may be said from inside."""

NOTES_PER_S, BYTES_PER_S = 20, 64 * 1024  # a branch's pace, in the long run: who says more waits
BURST_S = 30.0  # what was not said in this time may be said at once
LOOKED_BACK = 64  # entries: what was written down and not acknowledged is among the last
AGAIN_S, LONGEST_AGAIN_S = 0.5, 60.0  # until a line that broke is tried again, at first and at most
PAUSE_S, MOST_PAUSES = 0.05, 600  # while a branch's journal is not told yet what its machine begins from

logger = logging.getLogger(__name__)


class NotePace:
    """How fast a branch's notes are taken, on a clock that only grows."""

    def __init__(self, burst_s: float = BURST_S) -> None:
        self._burst_s = burst_s
        self._paid_until = 0.0

    def pay(self, size_bytes: int, now: float) -> float:
        """For a note of this size; how long to wait then."""
        cost_s = 1 / NOTES_PER_S + size_bytes / BYTES_PER_S
        self._paid_until = max(self._paid_until, now - self._burst_s) + cost_s
        return max(0.0, self._paid_until - now)


async def watch(engine: Engine) -> None:
    """For ever: take the notes of all branches that run."""
    paces = dict[str, NotePace]()
    await attend(engine, partial(_running, engine), partial(_listen, paces))


def _running(engine: Engine, event: Event | None) -> list[str]:
    """Of the branch that an event names, or of all, those that run."""
    if event is None:
        return [branch for branch in engine.machines.live if engine.running(branch)]
    named = engine.catalog.named(event.subject) if event.kind == "branch" else None
    return [named.id] if named is not None and engine.running(named.id) else []


async def _listen(paces: dict[str, NotePace], engine: Engine, branch: str) -> None:
    """Until the branch runs no more; that it runs again is an event."""
    pace, again_s, heard = paces.setdefault(branch, NotePace()), AGAIN_S, False
    while live := engine.running(branch):
        try:
            agent = await live.agent()
            if not (heard and agent.takes_notes):  # else what it told of was not taken yet
                await agent.noted()
            heard = True
            await _take_all(engine, live, agent, pace)
            again_s, heard = AGAIN_S, False
        except VertuiError:
            await asyncio.sleep(again_s)
            again_s = min(2 * again_s, LONGEST_AGAIN_S)
    paces.pop(branch, None)


async def _take_all(engine: Engine, live: Live, agent: AgentClient, pace: NotePace) -> None:
    """Also that there is none after all has its price: a guest may say that there is as often as it likes."""
    note: GuestNote | None = GuestNote("", "", "", "")
    while note is not None:
        note = await agent.note()
        if note is not None:
            async with _settled(engine, live, agent):
                seq, problem = await written_down(engine, live.branch, note)
            await agent.answer_note(note.id, seq, problem)
        size = len(note.text.encode(errors="replace")) if note else 0
        await asyncio.sleep(pace.pay(size, time.monotonic()))


@asynccontextmanager
async def _settled(engine: Engine, live: Live, agent: AgentClient) -> AsyncIterator[None]:
    """In the body the journal goes on from where the machine does, and no verb captures it or takes it back.
    GuestFailed when the note is of a machine that the branch has left.
    """
    for _ in range(MOST_PAUSES):
        async with live.lock:
            if agent.lost:
                raise GuestFailed("the line to the guest was closed")
            if not _beginning(engine, live.branch):
                yield
                return
        await asyncio.sleep(PAUSE_S)
    raise GuestFailed("a verb is at work for too long")


def _beginning(engine: Engine, branch: str) -> bool:
    """May a verb be about to write down what the branch's machine begins from? Children run before their fork does, and
    machines that were taken back or started from a head before that is in their journals.
    """
    fork = engine.catalog.branch(branch).fork
    forking = fork is not None and engine.catalog.operation(fork).state is OperationState.INTENT
    return forking or engine.verbs.changing.locked() or engine.journals.is_beginning(branch)


async def written_down(engine: Engine, branch: str, note: GuestNote) -> tuple[int, str]:
    """The number of a note's entry, once that is on disk; or 0, and what a program of the guest's is told then."""
    if note.kind not in KINDS:
        return 0, f"a note may be of kind {', '.join(KINDS)}"
    try:
        return await _written(engine, branch, note), ""
    except NoRoom:
        return 0, "it was not written: the host's disk is full"
    except VertuiError as error:
        logger.warning("a note of %s was not written: %s", branch, error)
        return 0, "it was not written: the log of the host's daemon tells why"


async def _written(engine: Engine, branch: str, note: GuestNote) -> int:
    journals = engine.journals
    key = f"guest:{note.id}."
    async for some in journals.show(branch, 0, LOOKED_BACK, whole=False, follow=False):
        for entry in some:
            if entry.guest and entry.key.startswith(key) and not entry.tried:
                return entry.seq
    mark = journals.mark(branch)  # it is another entry when the first is tried
    head = engine.catalog.branch(branch).head
    new = NewEntry(note.kind, note.text, note.author, head, f"{key}{mark}", guest=True)
    seq = (await journals.append(branch, [new])).seq
    if note.kind == EntryKind.WAIT:
        engine.acting.waits(branch)
    return seq
