"""The ids of a captured state: hashes of what changed, laid over the tables it stands on."""

import json

import numpy as np
from blake3 import blake3

from core.codec import encode
from core.disk.qcow2 import OverlayStack
from core.errors import Damaged
from core.model import PAGE_BYTES, MachineSpec
from core.store.hashing import (
    CHUNK_PAGES,
    HASH_BYTES,
    ZERO_CHUNK,
    Contents,
    Hashes,
    chunk_hashes,
    page_hashes,
    root_hash,
)
from core.store.image_pages import ROOT
from core.store.index import is_zero
from core.store.owner import Owner
from core.store.pack import Ids, Rows
from core.store.values import DISK, MEMORY, Captured, Changes, Identified

BATCH_PAGES = 2048


def identify(owner: Owner, captured: Captured, parents: tuple[str, ...]) -> Identified:
    """The ids a state has as a child of `parents`."""
    owner.know_image(captured.image)
    rows, memory, memory_chunks = _memory(owner, captured)
    disk, disk_chunks = _disk(owner, captured)
    state = state_id(captured.spec, captured.devices, memory.root, disk.root)
    made = Identified(commit_id(state, parents), state, parents, rows, memory, disk)
    with owner.pinning:
        owner.chunks[made.id, MEMORY], owner.chunks[made.id, DISK] = memory_chunks, disk_chunks
    return made


def commit_id(state: str, parents: tuple[str, ...]) -> str:
    """A commit's id: the hash of its state and its parents, so that the graph cannot have a cycle."""
    return blake3("\n".join((state, *parents)).encode()).hexdigest(length=20)


def state_id(spec: MachineSpec, devices: bytes, memory_root: str, disk_root: str) -> str:
    """The hash of what a machine is: spec, device state, memory and disk, wherever their pages are kept."""
    parts = [json.dumps(encode(spec), sort_keys=True), blake3(devices).hexdigest(), memory_root, disk_root]
    return blake3("\n".join(parts).encode()).hexdigest(length=20)


def open_layers(owner: Owner, captured: Captured) -> OverlayStack:
    """A state's layers, to read what was written in them."""
    paths = [owner.layout.layers / f"{layer}.qcow2" for layer in captured.layers]
    return OverlayStack(paths, captured.spec.disk_bytes)


def disk_below(owner: Owner, captured: Captured) -> Ids:
    """The table of the disk that a state's layers lie over."""
    if captured.disk_base:
        return owner.reader.table(captured.disk_base, DISK)
    return owner.reader.image_table(captured.image, ROOT)


def read_layers(layers: OverlayStack, places: Rows) -> Contents:
    """Blocks that all lie in some layer."""
    out = np.empty((len(places), PAGE_BYTES), np.uint8)
    layers.gather(places, out)
    return out


def _memory(owner: Owner, captured: Captured) -> tuple[Rows, Changes, Hashes]:
    """The captured rows that differ from what lies below, what they change, and the table's chunk hashes."""
    below = owner.reader.table(captured.base, MEMORY) if captured.base else np.empty(0, np.uint64)
    hashes = page_hashes(captured.table)
    under = np.zeros(len(hashes), np.uint64)
    inside = captured.pages < len(below)
    under[inside] = below[captured.pages[inside]]
    rows = np.flatnonzero((owner.index.find(hashes) != under) | ((under == 0) & ~is_zero(hashes)))
    hashes, places = hashes[rows], captured.pages[rows].astype(np.uint64)
    count = captured.spec.memory_bytes // PAGE_BYTES
    chunks = changed_chunks(owner, below, (captured.base or "", MEMORY), count, places, hashes)
    return rows, Changes(places, hashes, root_hash(count, chunks)), chunks


def _disk(owner: Owner, captured: Captured) -> tuple[Changes, Hashes]:
    below, count = disk_below(owner, captured), captured.spec.disk_bytes // PAGE_BYTES
    layers = open_layers(owner, captured)
    try:
        places, hashes = _hashed(layers)
    finally:
        layers.close()
    key = (captured.disk_base or captured.image, DISK)
    chunks = changed_chunks(owner, below, key, count, places, hashes)
    return Changes(places, hashes, root_hash(count, chunks)), chunks


def _hashed(layers: OverlayStack) -> tuple[Ids, Hashes]:
    """Blocks that lie in any layer, ascending, and their hashes."""
    places = layers.written_blocks()
    parts = [
        page_hashes(read_layers(layers, places[at : at + BATCH_PAGES]))
        for at in range(0, len(places), BATCH_PAGES)
    ]
    return places.astype(np.uint64), np.concatenate([np.empty((0, HASH_BYTES), np.uint8), *parts])


def root_of(owner: Owner, table: Ids) -> str:
    """The root hash of a table, from the hashes of its pages."""
    zero = np.broadcast_to(ZERO_CHUNK, (-(-len(table) // CHUNK_PAGES), HASH_BYTES))
    none = np.empty((0, HASH_BYTES), np.uint8)
    which = np.unique(np.flatnonzero(table) // CHUNK_PAGES)
    return root_hash(len(table), _rehashed(owner, table, table[:0], none, zero, which))


def changed_chunks(
    owner: Owner, below: Ids, key: tuple[str, str], pages: int, places: Ids, hashes: Hashes
) -> Hashes:
    """The chunk hashes of a table of `pages` pages: `below`, known by `key`, with pages laid over it."""
    count = -(-pages // CHUNK_PAGES)
    if len(places) and int(places.max()) >= pages:
        raise Damaged(f"page {int(places.max())} lies beyond the end of its {key[1]}")
    with owner.pinning:
        chunks = owner.chunks.get(key)
    if chunks is None or len(chunks) != count:
        chunks = _rehashed(owner, below, np.empty(0, np.uint64), hashes[:0], np.broadcast_to(ZERO_CHUNK, (count, 32)),
                           np.unique(np.flatnonzero(below) // CHUNK_PAGES))  # fmt: skip
    with owner.pinning:
        owner.chunks[key] = chunks
    return _rehashed(
        owner, below, places, hashes, chunks, np.unique(places // np.uint64(CHUNK_PAGES)).astype(np.int64)
    )


def _rehashed(owner: Owner, below: Ids, places: Ids, hashes: Hashes, chunks: Hashes, which: Rows) -> Hashes:
    """Chunk hashes with those of the chunks `which` computed anew; 64 chunks, 2 MiB of hashes, at a time."""
    result = chunks.copy()
    for at in range(0, len(which), 64):
        group = which[at : at + 64]
        numbers = (group[:, None] * CHUNK_PAGES + np.arange(CHUNK_PAGES)).reshape(-1)
        ids = np.zeros(len(numbers), np.uint64)
        inside = numbers < len(below)
        ids[inside] = below[numbers[inside]]
        pages, known = owner.index.hashes(ids)
        ends = np.array([group[0], group[-1] + 1], np.uint64) * np.uint64(CHUNK_PAGES)
        low, high = np.searchsorted(places, ends)
        near = places[low:high] // np.uint64(CHUNK_PAGES)
        mine = low + np.flatnonzero(np.isin(near, group.astype(np.uint64)))
        slot = np.searchsorted(numbers, places[mine].astype(np.int64))
        pages[slot] = hashes[mine]
        known[slot] = True
        if not known.all():
            raise Damaged(f"page {int(numbers[~known][0])} of the state below is not in the store")
        result[group] = chunk_hashes(pages)
    return result
