"""A REF's disk, held still to be read: a commit's as stored, a live branch's as of one instant, called a point.

A point is the written layer copied while the guest stood quiesced. The copy has no name once it is open: it is in no
tree and no chain, and gone with its last reader, whatever becomes of the daemon.
"""

import asyncio
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from core.diff.filesystem import index_of
from core.diff.index import PathIndex
from core.engine.context import Engine, new_id
from core.engine.live import Live
from core.errors import Conflict
from core.machine.qcow2 import ChainDisk
from core.model import Image

MOST_COMMIT_INDEXES = 8  # fork points compared with again and again; each keeps its layers open


@dataclass(frozen=True)
class State:
    """What a REF names, as of one instant. `live` is its machine when it is a branch with one, then `commit` is ""."""

    ref: str
    commit: str
    image: Image
    disk: ChainDisk
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
    found = engine.resolve(ref)
    row = engine.branch(found.branch) if found.branch else None
    live = engine.live.get(row.id) if row else None
    state = await (_stored(engine, ref, found.commit) if live is None else _point(engine, ref, live))
    with state.disk:
        yield state


async def _stored(engine: Engine, ref: str, commit: str) -> State:
    manifest = await asyncio.to_thread(engine.store.manifest, commit)
    image = engine.image(manifest.image)
    layers = [engine.store.layer_path(layer) for layer, _ in manifest.layers]
    disk = await asyncio.to_thread(ChainDisk, _root(engine, image), layers)
    note = "" if manifest.quiesced else f"{ref} was not quiesced: its latest writes may be missing"
    return State(ref, commit, image, disk, None, note)


async def _point(engine: Engine, ref: str, live: Live) -> State:
    image = engine.image(engine.catalog.branch(live.branch).image)
    copy = engine.store.layer_path(f"point-{new_id()}")
    try:
        async with live.lock, live.held() as quiesced:
            frozen = await live.machine.copy_disk(copy)
        layers = [*(engine.store.layer_path(layer) for layer in frozen), copy]
        disk = await asyncio.to_thread(ChainDisk, _root(engine, image), layers)
    finally:
        copy.unlink(missing_ok=True)
    note = "" if quiesced else f"{ref} could not be frozen: its latest writes may be missing"
    return State(ref, "", image, disk, live, note)


def known_paths(engine: Engine, state: State) -> PathIndex:
    """The index a comparison with `state` starts from: that of its image, made once, or of the commit itself."""
    base = engine.indexes.get(_root(engine, state.image)) or _walked(engine, state.image)
    if not state.commit:
        return base
    key = engine.home.commits / state.commit
    found = engine.indexes.pop(key, None) or _advanced(state.disk, base)
    engine.indexes[key] = found
    commits = [path for path in list(engine.indexes) if path.parent == engine.home.commits]
    for path in commits[:-MOST_COMMIT_INDEXES]:
        engine.indexes.pop(path, None)
    return found


def _walked(engine: Engine, image: Image) -> PathIndex:
    index = _kept(PathIndex(ChainDisk(_root(engine, image))))
    engine.indexes[_root(engine, image)] = index
    return index


def _advanced(disk: ChainDisk, base: PathIndex) -> PathIndex:
    """The index of a commit's disk, on files of its own: the caller's are closed before it is used again."""
    own = disk.reopened()
    index = index_of(own, base)
    if index is base:
        own.close()
        return base
    return _kept(index)


def _kept(index: PathIndex) -> PathIndex:
    """Its files are closed once nobody uses it."""
    disk = index.disk
    assert isinstance(disk, ChainDisk)
    weakref.finalize(index, disk.close)
    return index


def _root(engine: Engine, image: Image) -> Path:
    return engine.home.images / image.id / "root.raw"
