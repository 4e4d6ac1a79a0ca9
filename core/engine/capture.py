"""Commit, pause and resume: a running machine read at one instant."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace as replaced

from core.catalog_values import BranchRow
from core.checkpoints import Trigger
from core.engine import chains
from core.engine.bases import make_layer
from core.engine.change import Change
from core.engine.context import Engine, new_id, no_machine
from core.engine.hot import Shot
from core.engine.live import Live
from core.engine.operations import RunningOperation, operation, refuse
from core.engine.scrub import wiped_first
from core.engine.stalls import ROOM_BYTES
from core.engine.start import end, set_paused, start_again
from core.engine.tally import DoneCount
from core.errors import Conflict, GuestFailed, VertuiError
from core.journal.entry import EntryKind
from core.model import BranchState, Commit, CommitState, Committed, MachineSpec
from core.room import no_room
from core.startable import nearest_kept, resumable
from core.store.values import Captured

A = TypeVar("A")
B = TypeVar("B")


async def freeze_and_read(engine: Engine, live: Live, image: str, spec: MachineSpec) -> Shot:
    """Capture a machine, quiesced if its guest can be frozen. On failure it goes on as it was.

    GuestFailed if the guest's agent does not answer at all: a machine started from such a state could not be given an
    identity. Nor can the branch be restored or pruned then, for both commit it first; the error says what can be done.
    """
    if live.branch and live.ended:  # it was suspended while this waited for its turn
        raise no_machine(engine.catalog.branch(live.branch))
    if live.stall.is_set():
        raise no_room("a commit of what stands still for lack of it", engine.home.root, ROOM_BYTES)
    directory = engine.home.images / (image if live.base else f".{image}.tmp")
    layer = new_id()
    with engine.needing(layer):
        try:
            await asyncio.to_thread(_make_ready, engine, live, directory, layer)
            async with contextlib.AsyncExitStack() as stack:
                prepared = live.machine.prepared(engine.layer(layer))
                capture, quiesced = await stack.enter_async_context(_both(prepared, live.held()))
                if not quiesced and not live.answers:
                    raise GuestFailed(
                        f"a commit of it could not be started again: {live.unfrozen}{_ways_out(engine, live)}"
                    )
                began = time.perf_counter()
                state = await capture()
                felt_ms = asyncio.create_task(_go_on(stack.pop_all(), began))
        except BaseException:
            if layer not in live.machine.layers:
                engine.store.layer_path(layer).unlink(missing_ok=True)
            raise
    engine.reach("capture.read")
    captured = Captured(
        image, live.base, live.machine.disk_base if live.base else None, spec,
        state.pages, state.table, state.devices, state.layers, quiesced,
    )  # fmt: skip
    return Shot(captured, state.pause_ms, felt_ms, "" if quiesced else live.unfrozen)


def _make_ready(engine: Engine, live: Live, directory: Path, layer: str) -> None:
    """Make the layer that a machine is about to write, and write that down; nobody looks for one of an image."""
    make_layer(engine, directory, layer)
    if live.base:
        chains.keep(engine, live, layer)


@contextlib.asynccontextmanager
async def _both(
    first: AbstractAsyncContextManager[A], second: AbstractAsyncContextManager[B]
) -> AsyncIterator[tuple[A, B]]:
    """Enter two contexts at once: the host's part and the guest's part of the same wait. The second is left first."""
    async with contextlib.AsyncExitStack() as outer, contextlib.AsyncExitStack() as inner:
        entering = asyncio.gather(
            outer.enter_async_context(first), inner.enter_async_context(second), return_exceptions=True
        )
        one, other = await entering
        if isinstance(one, BaseException):
            raise one
        if isinstance(other, BaseException):
            raise other
        yield one, other


def _ways_out(engine: Engine, live: Live) -> str:
    """What can still be done with a branch whose agent is gone; nothing is said of an image that boots."""
    if not live.branch:
        return ""
    row = engine.catalog.branch(live.branch)
    return (
        f"; `vertui fork {row.head[:12]}` starts another from its last commit,"
        f" `vertui prune --now {row.name}` ends this one uncommitted"
    )


async def _go_on(stack: contextlib.AsyncExitStack, began: float) -> float:
    """Let a captured guest's processes run and clear up; how long they stood still, in ms."""
    await stack.aclose()
    return (time.perf_counter() - began) * 1000


async def shoot(engine: Engine, live: Live, row: BranchRow) -> Shot:
    """Capture a branch's machine."""
    image, seen, begun = engine.image(row.image), engine.acting.of(row.id).newest, time.time()
    engine.journals.last(row.id)  # read, if it is to be, before anything stands still
    shot = await freeze_and_read(engine, live, image.id, image.spec)
    journal, commands = (
        engine.journals.last(row.id),
        engine.unattended.running(row.id, engine.journals.mark(row.id)),
    )
    return replace(shot, journal=journal, commands=commands, seen=seen, begun=begun)


async def make_hot(engine: Engine, row: BranchRow, shot: Shot, message: str) -> Commit:
    """Make a captured state the branch's new head, as a hot commit. If the state did not change, the present head
    stays.

    Not before the guest has said that it runs again: hashing takes every processor, and its vCPUs would wait. What the
    commit knows of the journal is written meanwhile.
    """
    with engine.needing(*shot.captured.needs):
        await shot.felt_ms
        head = engine.catalog.commit(engine.catalog.branch(row.id).head)
        identified, _ = await asyncio.gather(
            asyncio.to_thread(engine.store.identify, shot.captured, (head.id,)),
            engine.journals.writer.flush([row.id]),
        )
        if identified.state_id != head.state_id:
            head = await engine.tasks.sealer.add(row, shot, identified, message)
        engine.acting.captured(row.id, shot.seen, shot.begun)
        return head


async def save(engine: Engine, live: Live, message: str, checkpoint: Trigger = Trigger.NONE) -> Commit:
    """Commit a machine whose lock the caller holds, and wait until the commit is sealed. One that cannot be sealed is
    taken back. `checkpoint` says why, when nobody asked for a commit.

    Whoever calls this has waited for `Sealer.room` before taking the lock.
    """
    row = engine.catalog.branch(live.branch)
    shot = replace(await shoot(engine, live, row), checkpoint=checkpoint)
    made = await make_hot(engine, row, shot, message)
    return await _sealed(engine, row.id, made, row.head)


async def commit(
    engine: Engine,
    request_id: str,
    name: str,
    message: str,
    *,
    wait: bool = True,
    scrub: Sequence[str] = (),
) -> Committed:
    """Commit a branch.

    Requires a running or paused machine. On success its state is the branch's head, sealed, or without `wait` at least
    hot; the machine went on. On failure the machine goes on and nothing is added. Files to `scrub` are wiped first, for
    which it must run; if one cannot be, that is the failure.
    """
    row, live, began = engine.branch(name), engine.machine(name), time.perf_counter()
    await engine.tasks.sealer.room(live)
    async with operation(engine, request_id, "commit", f"commit {row.name}") as record:
        async with live.lock, wiped_first(live, scrub):
            head = engine.catalog.branch(row.id).head
            made = await make_hot(engine, row, await shoot(engine, live, row), message)
        if made.id == head:
            record.summary = f"commit {row.name}: its state is its head's, {made.id[:12]}"
            made = _asked_for(engine, made, message)
        else:
            record.summary = f"commit {row.name} as {made.id[:12]}"
            record.inverse = Change(heads={row.id: head}, hide=(made.id,), heads_from={row.id: made.id})
            engine.journals.note(row.id, EntryKind.COMMIT, message, made.id)
        if scrub:
            record.summary += f", {len(scrub)} files scrubbed before"
    hot_ms = (time.perf_counter() - began) * 1000
    engine.events.publish("branch", row.name, record.summary)
    if wait:
        try:
            made = await _sealed(engine, row.id, made, head)
        except VertuiError as error:
            refuse(engine, record, error)
            raise
    sealed_ms = (time.perf_counter() - began) * 1000 if made.state is CommitState.SEALED else None
    return Committed(made, record.id, round(hot_ms, 2), sealed_ms and round(sealed_ms, 2), made.id != head)


def _asked_for(engine: Engine, made: Commit, message: str) -> Commit:
    """A commit that was made by itself is somebody's from now on, who says what it is."""
    if made.checkpoint is not Trigger.NONE:
        made = replaced(made, checkpoint=Trigger.NONE, message=message or made.message)
        engine.catalog.put_commit(made)
    return made


async def _sealed(engine: Engine, branch: str, made: Commit, former: str) -> Commit:
    """The commit once it is on disk. One that cannot get there is taken back, unless something was made of it."""
    try:
        await engine.tasks.sealer.sealed(made.id)
    except VertuiError:
        await engine.tasks.sealer.retract(branch, made.id, former)
        raise
    return engine.catalog.commit(made.id)


async def pause(engine: Engine, request_id: str, name: str) -> BranchRow:
    """Quiesce and stop a branch's machine. Requires a running one; on failure it runs on."""
    row, live = engine.branch(name), engine.machine(name)
    if row.state is not BranchState.RUNNING:
        raise Conflict(f"branch {row.name} is {row.state}, not running")
    async with operation(engine, request_id, "pause", f"pause {row.name}") as record:
        paused = await pause_live(engine, live)
        record.inverse = Change(resume=(row.id,))
        return paused


async def pause_live(engine: Engine, live: Live) -> BranchRow:
    """Quiesce and stop a machine, and write that down; on failure it runs on."""
    async with live.lock:
        await live.pause()
        try:
            return set_paused(engine, live)
        except BaseException:
            await live.resume()
            raise


async def resume(engine: Engine, request_id: str, name: str) -> BranchRow:
    """Let a paused branch run on, or start one without a machine from its head. On failure it stays as it was.

    When the head is gone, its nearest ancestor that is not is the head from then on; the branch's reason says so.
    """
    row = engine.branch(name)
    if refusal := resumable(row.shown(), engine.commits()):
        raise Conflict(refusal)
    live = engine.machines.live.get(row.id)
    if live is not None and live.stall.is_set():
        resumed = await engine.tasks.stalls.resume(live)
        if not live.paused:  # else it was paused as well, and is resumed below
            return resumed
    wakes = [row.id] if row.state is BranchState.SUSPENDED else []
    async with operation(engine, request_id, "resume", f"resume {row.name}", wakes=wakes) as record:
        if live is None:
            with engine.journals.beginning(row.id):
                return await _start_from_what_is_left(engine, row, record)
        resumed = await resume_live(engine, live)
        record.inverse = Change(pause=(row.id,))
        return resumed


async def resume_live(engine: Engine, live: Live) -> BranchRow:
    """Let a paused machine run on, and write that down; on failure it stays paused."""
    async with live.lock:
        await live.resume()
        try:
            return engine.set_branch(live.branch, state=BranchState.RUNNING, reason="")
        except BaseException:
            await live.pause()
            raise


async def _start_from_what_is_left(engine: Engine, row: BranchRow, record: RunningOperation) -> BranchRow:
    start = nearest_kept(row.head, engine.commits())
    if start is None or start.id == row.head:
        resumed = await start_again(engine, row)
        if row.state is not BranchState.SUSPENDED:
            await _began_anew(engine, row.id, row.head)
        return resumed
    reason = (
        f"started from {start.id[:12]}: its head {row.head[:12]} is gone, it was in memory when the host died"
    )
    engine.catalog.change_branch(row.id, head=start.id)
    try:
        await start_again(engine, replace(row, head=start.id))
    except VertuiError:
        engine.catalog.change_branch(row.id, head=row.head)
        raise
    await _began_anew(engine, row.id, start.id)
    record.summary = f"resume {row.name}: {reason}"
    return engine.set_branch(row.id, reason=reason)


async def _began_anew(engine: Engine, branch: str, commit: str) -> None:
    """What a machine that ended did after its branch's last commit is gone with it: the journal says so."""
    found = engine.catalog.commit(commit)
    await engine.journals.went_back(branch, found, how="started from", always=False, lost=True)


async def suspend_all(engine: Engine, request_id: str, *, now: bool) -> None:
    """End every machine. Each is committed first, so that `resume` brings it back; with `now` none is.

    Hot commits are sealed first. If one machine cannot be committed, all keep running and the error says why.
    """
    summary = f"suspend {len(engine.machines.live)} branches"
    async with operation(engine, request_id, "suspend", summary), engine.machines.sleepers.at_rest():
        machines = list(engine.machines.live.values())
        if now:
            with contextlib.suppress(VertuiError):
                await engine.tasks.sealer.all_sealed()
        else:
            tally = DoneCount(engine, "committing what is suspended", len(machines))
            await asyncio.gather(*(_save_last(engine, live, tally) for live in machines))
            await engine.tasks.sealer.all_sealed()
        state = BranchState.STOPPED if now else BranchState.SUSPENDED
        reason = "stopped uncommitted; its head is its last commit" if now else ""
        for live in (live for live in machines if not live.ended):
            engine.set_branch(live.branch, state=state, reason=reason, machine=None)
        await asyncio.gather(*(end(engine, live) for live in machines))
        await engine.machines.reaping.done()


async def _save_last(engine: Engine, live: Live, tally: DoneCount) -> None:
    await engine.tasks.sealer.room(live)
    async with live.lock:
        if not live.ended:
            await save(engine, live, "suspend", Trigger.SUSPEND)
    tally.one()
