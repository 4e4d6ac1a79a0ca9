"""A REF's disk, held still to be read: a commit's as stored, a live branch's as of one instant, called a point; or the
one that a machine left when it died.

A point is the written layer copied while the guest stood quiesced. The copy has no name once it is open: it is in no
tree and no chain, and gone with its last reader, whatever becomes of the daemon.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass

from core.catalog_values import BranchRow
from core.diff.index import PathIndex
from core.engine.context import Engine, new_id
from core.engine.live import Live
from core.errors import Conflict
from core.model import Image
from core.progress import Begin, uncounted
from core.store.table_disk import TableDisk


@dataclass(frozen=True)
class State:
    """What a REF names, as of one instant. `live` is its machine when it is a branch with one; then `commit` is "", as
    it is of a crash disk.
    """

    ref: str
    commit: str
    image: Image
    disk: TableDisk
    live: Live | None
    note: str = ""


@asynccontextmanager
async def states_of(engine: Engine, refs: Sequence[str]) -> AsyncIterator[list[State]]:
    """The states of several REFs of one image; Conflict when they are of different ones."""
    async with AsyncExitStack() as stack:
        states = [await stack.enter_async_context(_state(engine, ref)) for ref in refs]
        for state in states[1:]:
            if state.image.id != states[0].image.id:
                raise Conflict(
                    f"{states[0].ref} and {state.ref} come from different images: "
                    "their disks have nothing in common to compare"
                )
        yield states


@asynccontextmanager
async def _state(engine: Engine, ref: str) -> AsyncIterator[State]:
    found = engine.resolve_disk(ref)
    row = engine.branch(found.branch) if found.branch else None
    live = engine.machines.live.get(row.id) if row else None
    ref = ref[:12] if ref == found.commit else ref  # it is told to people
    if live is None and not found.crash:
        await engine.tasks.sealer.sealed(found.commit)
        engine.check_there(engine.catalog.commit(found.commit))
    with ExitStack() as needs:
        if row and found.crash:
            reading = _left(engine, ref, row, needs)
        elif live is not None:
            reading = _point(engine, ref, live, needs)
        else:
            reading = _stored(engine, ref, found.commit, needs)
        state = await reading
        needs.enter_context(state.disk)
        await _pin(engine, state.image.golden, needs)  # see `known_paths`
        yield state


async def _stored(engine: Engine, ref: str, commit: str, needs: ExitStack) -> State:
    await _pin(engine, commit, needs)
    manifest = await asyncio.to_thread(engine.store.manifest, commit)
    image = engine.image(manifest.image)
    disk = await asyncio.to_thread(engine.store.disk, commit)
    note = "" if manifest.quiesced else f"{ref} was not quiesced: its latest writes may be missing"
    return State(ref, commit, image, disk, None, note)


async def _point(engine: Engine, ref: str, live: Live, needs: ExitStack) -> State:
    """A branch's disk as of one instant. What it lies on is kept from gc before the layer is copied: until the lock is
    ours a seal, a hand-over or the machine's end may come at any time, and gc at any time after.
    """
    image, point = engine.image(engine.catalog.branch(live.branch).image), f"point-{new_id()}"
    copy = engine.store.layer_path(point)
    try:
        async with live.lock:
            base, layers = live.machine.disk_base, live.machine.layers
            await _pin(engine, base, needs)
            with engine.needing(point, *layers):
                async with live.held() as quiesced:
                    frozen = await live.machine.copy_disk(copy)
                paths = [*map(engine.store.layer_path, frozen), copy]
                disk = await asyncio.to_thread(engine.store.disk, base, paths)
    finally:
        copy.unlink(missing_ok=True)
    note = "" if quiesced else f"{ref} could not be frozen: its latest writes may be missing"
    return State(ref, "", image, disk, live, note)


async def _left(engine: Engine, ref: str, row: BranchRow, needs: ExitStack) -> State:
    """The disk that a branch's machine left when it died."""
    crash = engine.crash_disk(row.name)
    needs.enter_context(engine.needing(crash.base, *crash.layers))
    await _pin(engine, crash.base, needs)
    paths = [*map(engine.store.layer_path, crash.layers)]
    disk = await asyncio.to_thread(engine.store.disk, crash.base, paths)
    disk.torn = True
    note = f"{ref} is as a machine left it that died: what was not synced by then may be missing"
    return State(ref, "", engine.image(row.image), disk, None, note)


async def _pin(engine: Engine, commit: str, needs: ExitStack) -> None:
    """Keep a commit's pages until `needs` ends. In a thread, because this waits for a gc that sweeps."""
    pinning = asyncio.ensure_future(asyncio.to_thread(needs.enter_context, engine.store.pinned(commit)))
    try:
        await asyncio.shield(pinning)
    except asyncio.CancelledError:
        await asyncio.gather(pinning, return_exceptions=True)
        raise


def known_paths(engine: Engine, state: State, begin: Begin = uncounted) -> PathIndex:
    """The index a comparison with `state` starts from: that of its image, or of the commit itself."""
    return engine.indexes.of(state.image.golden, state.commit, begin)
