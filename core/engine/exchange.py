"""A branch's machine exchanged for one out of a commit: same name, network and address.

The one that runs goes only once the other answers as the branch:

    while it runs on       start the new machine on a tap of its own, load it, continue it, give it the identity
    while it is stopped    commit it; move the network and the console over; write the row
    afterwards             let the new guest's processes run; end the old machine

Until the row is written the old machine is only stopped, and goes on if anything fails.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.catalog_values import BranchRow
from core.engine import capture, chains
from core.engine.bases import base_of, check_root, disk_of, make_layer
from core.engine.context import Engine, new_id
from core.engine.live import Live
from core.engine.memory import check_room
from core.engine.start import StartState, settled, source_of, take_identity
from core.engine.warm import end_machine
from core.errors import Conflict, MachineFailed, VertuiError
from core.machine.protocol import Machine
from core.model import BranchState, Commit


async def exchange(engine: Engine, live: Live, commit: str, *, paused: bool) -> Commit:
    """Put a machine out of `commit` in place of a branch's; the commit that this machine was.

    The branch runs then, or is `paused`. On failure it goes on as it was.
    """
    source = source_of(engine, commit)
    with engine.needing(*source.needs):
        await source.devices
        await check_room(engine, 1)
        await engine.tasks.sealer.room(live)
        async with live.lock, _network_for_two(live):
            row, old = engine.catalog.branch(live.branch), live.machine
            async with _beside(engine, live, row, source) as fresh, stopped(live):
                saved = await capture.save(engine, live, "before restore")
                engine.reach("restore.committed")
                await _put_in_place(engine, live, row, fresh, commit)
            engine.reach("restore.ended")
            await end_machine(engine, old)
            await _awake(engine, live, row, paused=paused)
            return saved


async def _awake(engine: Engine, live: Live, row: BranchRow, *, paused: bool) -> None:
    """Let the new guest's processes run. The row names the new machine already, so a failure here is published and not
    raised.
    """
    try:
        await (live.pause() if paused else live.thaw())
    except VertuiError as error:
        engine.events.publish("branch", row.name, f"{row.name} was restored, and does not answer: {error}")
    with contextlib.suppress(MachineFailed):  # it has ended since, and the row says so or will
        settled(engine, live)


@asynccontextmanager
async def _network_for_two(live: Live) -> AsyncIterator[None]:
    """The branch's network may have a second tap in the body. One that cannot be removed afterwards goes with the next
    exchange, or with the branch.
    """
    try:
        yield
    finally:
        with contextlib.suppress(VertuiError):
            await asyncio.to_thread(live.network.drop_second_tap)


@asynccontextmanager
async def stopped(live: Live) -> AsyncIterator[None]:
    """The branch's machine stopped for the body. If the body fails, a machine that ran before runs on."""
    ran = not live.paused
    if ran:
        await live.pause()
    try:
        yield
    except BaseException:
        if ran:
            with contextlib.suppress(VertuiError):  # it has ended meanwhile: the failure says more
                await live.resume()
        raise


async def _put_in_place(engine: Engine, live: Live, row: BranchRow, fresh: Live, commit: str) -> None:
    """Let the network carry the new machine's frames, and let the row and everybody name it."""
    await asyncio.to_thread(live.network.switch)
    try:
        if live.closing:
            raise Conflict(f"the machine of {row.name} ended meanwhile")
        machine, running = fresh.machine.id, BranchState.RUNNING
        chains.keep(engine, fresh)
        engine.catalog.change_branch(
            row.id, machine=machine, base=fresh.base, head=commit, state=running, reason=""
        )
    except BaseException:
        await asyncio.to_thread(live.network.switch)
        raise
    await live.become(fresh)
    with contextlib.suppress(VertuiError):  # they end by themselves when they are used next
        await asyncio.to_thread(live.network.reset)


@asynccontextmanager
async def _beside(engine: Engine, live: Live, row: BranchRow, source: StartState) -> AsyncIterator[Live]:
    """A second machine for the branch, with a state and the branch's identity. Only its agent runs, and its link is
    down. It is ended unless it becomes the branch's.
    """
    layer = new_id()
    with engine.needing(layer):
        fresh: Live | None = None
        try:
            machine = await _started(engine, live, source, layer)
            fresh = Live(row.id, machine, live.network, source.base)
            check_root(engine.home.images / source.image.id)
            disk, frozen = disk_of(engine, source.disk_base), list(map(engine.layer, source.layers))
            await machine.load(disk, frozen, source.pages, source.table, await source.devices)
            await machine.cont()
            await take_identity(engine, fresh, row.name, quiesced=source.quiesced)
            engine.reach("restore.distinct")
            yield fresh
        finally:
            if fresh is None or live.machine is not fresh.machine:
                await _end(engine, fresh, layer)


async def _end(engine: Engine, fresh: Live | None, layer: str) -> None:
    if fresh is not None:
        await fresh.leave()
        await fresh.machine.close()
        chains.forget(engine, fresh.machine.id)
    engine.store.layer_path(layer).unlink(missing_ok=True)


async def _started(engine: Engine, live: Live, source: StartState, layer: str) -> Machine:
    """A paused process on the state's memory. Of the branch's two taps it has the one that the present machine does not
    use.
    """
    await asyncio.to_thread(make_layer, engine, engine.home.images / source.image.id, layer)
    tap = await asyncio.to_thread(live.network.second_tap)
    base = await base_of(engine, source.base)
    try:
        return await engine.hypervisor.start(new_id(), source.image.spec, base, tap, engine.layer(layer))
    finally:
        os.close(base.descriptor)
