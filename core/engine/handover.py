"""Hand-over: a running branch moves into a new process that maps its head, so that captures again cost what it changes.

A capture reads all that a process changed over its base, ever. The head holds most of that already: a new process maps
the head's memory, is given the few pages that are unlike it, the devices and a new disk layer, and goes on where the
old one stood. Until the catalog names the new process the old one is only stopped, and goes on if anything fails.

    while the guest runs   start the new process on a tap of its own, read the head's pages, connect its sockets
    frozen and stopped     compare, read devices; load the new process; move lines and tap; write the row; continue
    afterwards             thaw, end the old process
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np

from core.catalog_values import BranchRow
from core.codec import encode
from core.engine import chains
from core.engine.attending import attend
from core.engine.bases import base_of, disk_of, make_layer
from core.engine.context import Engine, new_id
from core.engine.live import Lines, Live
from core.engine.operations import operation
from core.engine.settings import value
from core.errors import Conflict, NotFound, VertuiError
from core.machine.base import Base
from core.machine.protocol import Capture, Machine, MachineState
from core.model import BranchState, CommitState, Event, HandedOver, Image, OperationState, new_key
from core.pages import Pages

IDLE_S = 0.5  # between two looks: two in a row that find nothing at work are an idle moment
MOST_WAIT_S = 30.0  # for an idle moment; then its turn comes like any verb's
REST_S = 30.0  # between two hand-overs of a branch: each costs a pause, and the guest its warm caches


@dataclass(frozen=True)
class _Next:
    """The new process, its base and how its guest will be reached."""

    machine: Machine
    base: Base
    lines: Lines


async def hand_over(engine: Engine, request_id: str, name: str) -> HandedOver:
    """Move a branch's machine into a new process on its head.

    Requires a running branch whose head is sealed, and a guest that can be frozen. On success processes, connections,
    exec streams and consoles go on and notice a pause. On failure the machine goes on as it was.
    """
    row, live = engine.branch(name), engine.machine(name)
    _check(engine, row, live)
    summary = f"hand-over of {row.name} to a process on {row.head[:12]}"
    async with operation(engine, request_id, "hand-over", summary) as record, live.lock:
        row = engine.catalog.branch(row.id)
        _check(engine, row, live)
        rebase_ms, felt_ms, pages = await _hand_over(engine, live, row)
        record.summary = f"{summary}: {pages} pages were unlike it, {rebase_ms:.0f} ms"
        done = HandedOver(row.name, row.head, record.id, pages, round(rebase_ms, 2), round(felt_ms, 2))
    engine.tasks.weights.settle()
    engine.acting.tell(row.id)
    engine.catalog.change_operation(record.id, result=encode(done))
    engine.events.publish("branch", row.name, record.summary)
    return done


def _check(engine: Engine, row: BranchRow, live: Live) -> None:
    if row.state is not BranchState.RUNNING or live.closing:
        raise Conflict(f"branch {row.name} is {row.state}, not running")
    if engine.catalog.commit(row.head).state is not CommitState.SEALED:
        raise Conflict(f"the head of {row.name} is not sealed yet: try again")
    if live.base == row.head:
        raise Conflict(f"{row.name} runs on its head already: commit first, if it has changed much since")


async def _hand_over(engine: Engine, live: Live, row: BranchRow) -> tuple[float, float, int]:
    """Move the machine. Returns how many ms it was stopped, how many its guest felt, and how many pages were copied."""
    image, old = engine.image(row.image), live.machine
    left, written = new_id(), new_id()
    with engine.needing(left, written, *old.layers):
        try:
            for layer in (left, written):
                await asyncio.to_thread(make_layer, engine, engine.home.images / image.id, layer)
            async with _successor(engine, live, row, image, written) as following:
                places = await asyncio.to_thread(_places, engine, live.base or image.golden, row.head)
                await asyncio.to_thread(chains.keep, engine, live, left)
                async with old.leaving(engine.layer(left), following.base, places) as capture:
                    async with _frozen(live):
                        began = time.perf_counter()
                        state, rebase_ms = await _go_over(engine, live, row, following, capture)
                    felt_ms = (time.perf_counter() - began) * 1000
        finally:
            await _clear(engine, live, old, (left, written))
    live.moved = time.monotonic()
    live.correct_clock()
    return rebase_ms, felt_ms, len(state.pages)


@asynccontextmanager
async def _successor(
    engine: Engine, live: Live, row: BranchRow, image: Image, written: str
) -> AsyncIterator[_Next]:
    """A paused process on the head with tap and layer of its own. It ends unless it becomes the branch's machine."""
    base = await base_of(engine, row.head)
    machine: Machine | None = None
    lines: Lines | None = None
    try:
        tap = await asyncio.to_thread(live.network.second_tap)
        machine = await engine.hypervisor.start(new_id(), image.spec, base, tap, engine.layer(written))
        lines = await Lines.to(machine)
        engine.reach("hand-over.started")
        yield _Next(machine, base, lines)
    finally:
        os.close(base.descriptor)
        if machine is not None and live.machine is not machine:
            if lines is not None:
                await lines.close()
            await machine.close()
            chains.forget(engine, machine.id)


def _places(engine: Engine, base: str, head: str) -> Pages:
    """Pages in which two commits differ: a process on `base` is unlike `head` there, whatever it has changed."""
    before, after = engine.store.memory_hashes(base), engine.store.memory_hashes(head)
    return np.flatnonzero((before != after).any(axis=1)).astype(np.uint32)


@asynccontextmanager
async def _frozen(live: Live) -> AsyncIterator[None]:
    async with live.held() as quiesced:
        if not quiesced:
            raise Conflict(f"its guest could not be frozen: {live.unfrozen or 'it is paused unfrozen'}")
        yield


async def _go_over(
    engine: Engine, live: Live, row: BranchRow, following: _Next, capture: Capture
) -> tuple[MachineState, float]:
    """What is done from `stop` to `cont`. Returns the state as the old process left it, and how long the machine stood
    still. On failure all is undone.
    """
    old, machine, began = live.machine, following.machine, time.perf_counter()
    async with contextlib.AsyncExitStack() as undo:
        undo.push_async_callback(old.cont)
        undo.push_async_callback(_switch_back, live, live.network.info.tap)
        state = await _stopped(live, capture)
        engine.reach("hand-over.stopped")
        disk, frozen = disk_of(engine, old.disk_base), list(map(engine.layer, state.layers))
        await machine.load(disk, frozen, state.pages, state.table, state.devices)
        engine.reach("hand-over.loaded")
        base, before = live.base, await live.move(machine, row.head, following.lines)
        undo.push_async_callback(live.move, old, base, before)
        if live.closing:
            raise Conflict(f"the machine of {row.name} ended meanwhile")
        chains.keep(engine, live)
        engine.catalog.change_branch(row.id, machine=machine.id, base=row.head)
        undo.callback(engine.catalog.change_branch, row.id, machine=old.id, base=row.base)
        engine.reach("hand-over.written")
        await machine.cont()
        undo.pop_all()
    rebase_ms = (time.perf_counter() - began) * 1000
    await before.close()
    return state, rebase_ms


async def _stopped(live: Live, capture: Capture) -> MachineState:
    """Stop the machine and read its state. Frames for its guest wait meanwhile where the new process will find them."""
    state, switched = await asyncio.gather(
        capture(), asyncio.to_thread(live.network.switch), return_exceptions=True
    )
    if isinstance(switched, BaseException):
        raise switched
    if isinstance(state, BaseException):
        raise state
    return state


async def _switch_back(live: Live, tap: str) -> None:
    if live.network.info.tap != tap:
        await asyncio.to_thread(live.network.switch)


async def _clear(engine: Engine, live: Live, old: Machine, layers: tuple[str, ...]) -> None:
    """End the process that is not the branch's, and remove the tap and the layers that the branch does not use."""
    if live.machine is not old:
        await old.close()
        chains.forget(engine, old.id)
    for layer in layers:
        if layer not in live.machine.layers:
            engine.store.layer_path(layer).unlink(missing_ok=True)
    with contextlib.suppress(VertuiError):  # what is left of it goes with the next hand-over, or the branch
        await asyncio.to_thread(live.network.drop_second_tap)


# -- when ----------------------------------------------------------------------------------------------------


async def watch(engine: Engine) -> None:
    """For ever: when a commit is sealed and its branch has changed much, hand that branch over at an idle moment."""

    def headed(event: Event | None) -> list[str]:
        return _headed(engine, event.subject) if event is not None and event.kind == "commit" else []

    await attend(engine, headed, _when_idle)


def _headed(engine: Engine, commit: str) -> list[str]:
    """The branch that this sealed commit was made of, if it is still its head and it has a machine. Children forked
    from the commit, which have it as their head too, are left out.
    """
    try:
        made = engine.catalog.commit(commit)
    except NotFound:  # it was taken back
        return []
    rows = engine.catalog.branches() if made.state is CommitState.SEALED else []
    return [
        row.id
        for row in rows
        if row.head == commit and row.name == made.branch and row.id in engine.machines.live
    ]


async def _when_idle(engine: Engine, branch: str) -> None:
    await _idle(engine, branch)
    live = engine.machines.live.get(branch)
    with contextlib.suppress(VertuiError):  # the log says why, and the next commit tries again
        if live is not None and await _due(engine, live):
            await hand_over(engine, new_key(), engine.catalog.branch(branch).name)


async def _idle(engine: Engine, branch: str) -> None:
    """Wait for an idle moment, in which nobody waits for the processor or for this branch; not for ever."""
    quiet, deadline = 0, time.monotonic() + MOST_WAIT_S
    while quiet < 2 and time.monotonic() < deadline:
        await asyncio.sleep(IDLE_S)
        live = engine.machines.live.get(branch)
        busy = (live is not None and live.lock.locked()) or engine.catalog.operations(
            1, OperationState.INTENT
        )
        quiet = 0 if busy else quiet + 1


async def _due(engine: Engine, live: Live) -> bool:
    """Has its process changed so much that it pays?"""
    threshold = value(engine, "handover.bytes")
    if not threshold or time.monotonic() - live.moved < REST_S:
        return False
    row = engine.catalog.branch(live.branch)
    return live.base != row.head and await live.machine.changed_bytes() >= threshold
