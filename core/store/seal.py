"""Put: the pages that are new into a pack, both tables and the rest into a record; then the state is durable."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import Damaged, NotFound, VertuiError
from core.model import PAGE_BYTES
from core.store import tables
from core.store.hashing import Contents, Hashes, distinct
from core.store.identify import disk_below, open_layers, read_layers
from core.store.image_pages import KERNEL, ROOT, touched_places
from core.store.index import is_zero
from core.store.owner import Owner
from core.store.pack import Directory, Ids, Rows
from core.store.record import DEVICES, Record, pack_devices, record_name
from core.store.values import DISK, MEMORY, Captured, Identified, Label, Manifest

FORMAT = 3
BATCH_PAGES = 4096  # 16 MiB in memory at a time
PATCHED_BYTES = 1024  # a page that differs from the kernel's in fewer bytes is stored as the difference
Mask = NDArray[np.bool_]


def put(owner: Owner, captured: Captured, identified: Identified, label: Label) -> tuple[Manifest, int]:
    """Store a state; its manifest and the bytes added. A page that is there already is not stored again, nor is a
    commit.
    """
    path = owner.layout.commits / record_name(identified.id)
    with owner.sealing:
        if path.exists():
            return owner.reader.manifest(identified.id), 0
        table, places = captured.table[identified.rows], identified.disk.places.astype(np.int64)
        layers = open_layers(owner, captured)

        def contents(rows: Rows) -> Contents:
            return _gather(rows, table, lambda at: read_layers(layers, places[at]))

        try:
            hashes = np.concatenate([identified.memory.hashes, identified.disk.hashes])
            kernel = kernel_ids(owner, captured.image, identified.memory.places)
            early = np.isin(identified.memory.places, touched_places(owner.layout.images, captured.image))
            pages = store_pages(owner, hashes, contents, kernel, early)
        finally:
            layers.close()
        try:
            record = _record(owner, captured, identified, label, pages.ids)
            size = write_record(owner, record)
        except BaseException:
            pages.abandon(owner, path)
            raise
        owner.born.add(identified.id)
        pages.register(owner)
        return record.manifest, size + pages.size_bytes


@dataclass(frozen=True)
class WrittenPages:
    """Ids of pages, by row; `pack` is the durable one the new ones are in, not yet known to the index."""

    ids: Ids
    pack: tuple[int, Directory] | None
    size_bytes: int

    def register(self, owner: Owner) -> None:
        """Let others find the new pages."""
        if self.pack:
            owner.register(dict([self.pack]))

    def abandon(self, owner: Owner, record: Path) -> None:
        """Undo a seal whose record could not be written. Once that has its name a crash may bring it back: then its
        pages stay, for gc to find.
        """
        with contextlib.suppress(VertuiError):
            if record.exists():
                self.register(owner)
                owner.files.unlink(record)
            elif self.pack:
                owner.files.unlink(owner.layout.pack(self.pack[0]))


def store_pages(
    owner: Owner, hashes: Hashes, contents: Callable[[Rows], Contents], kernel: Ids, early: Mask
) -> WrittenPages:
    """Ids for pages of these hashes; those not in the store are packed, neighbours together.

    `kernel` and `early` tell of the first rows. `kernel` is the id of the kernel's page at the same address, or 0: a
    page that differs little from it is stored as the difference. `early` are the pages that a waking machine touches:
    they are packed apart, so that little else is read with them.
    """
    ids = owner.index.find(hashes)
    wanted = np.flatnonzero((ids == 0) & ~is_zero(hashes))
    if not len(wanted):
        return WrittenPages(ids, None, 0)
    first, inverse = distinct(hashes[wanted])
    new, against = _in_order(owner, wanted[first], contents, kernel, early)
    numbers = owner.take_ids(len(new))
    by_row = np.zeros(len(hashes), np.uint64)
    by_row[new] = numbers
    ids[wanted] = by_row[wanted[first]][inverse]
    with owner.new_pack() as (number, writer):
        for at in range(0, len(new), BATCH_PAGES):
            part = slice(at, at + BATCH_PAGES)
            pages = contents(new[part])
            mixed = np.flatnonzero(against[part])
            pages[mixed] ^= owner.reader.contents(against[part][mixed])
            writer.add(numbers[part], hashes[new[part]], pages, against[part])
        directory = writer.finish()
        return WrittenPages(ids, (number, directory), writer.path.stat().st_size)


def kernel_ids(owner: Owner, image: str, places: Ids) -> Ids:
    """The id of the kernel's page at each physical page, 0 where the kernel has none."""
    try:
        table = owner.reader.image_table(image, KERNEL)
    except NotFound:
        return np.zeros(len(places), np.uint64)
    inside = places < len(table)
    found = np.zeros(len(places), np.uint64)
    found[inside] = table[places[inside].astype(np.int64)]
    return found


def write_record(owner: Owner, record: Record) -> int:
    """Make a record durable; its size."""
    data = record.encode()
    owner.files.replace(owner.layout.commits / record_name(record.manifest.id), data)
    return len(data)


def make_record(
    owner: Owner, manifest: Manifest, devices: bytes, memory: Ids, disk: Ids, parent: str
) -> Record:
    """A record whose tables lean on `parent`'s if that is worth it."""
    sections = {
        DEVICES: pack_devices(devices),
        MEMORY: lean(owner, memory, manifest.image, parent, MEMORY).encode(),
        DISK: lean(owner, disk, manifest.image, parent, DISK).encode(),
    }
    return Record(manifest, sections).described()


def lean(owner: Owner, table: Ids, image: str, parent: str, medium: str) -> tables.Difference:
    """What to store of a table: its difference from a parent's that can be read and is not deep, or a full copy."""
    if parent:
        with contextlib.suppress(Damaged, NotFound):
            depth = owner.reader.record(parent).table(medium).depth + 1
            if depth < tables.LONGEST_CHAIN:
                return tables.difference(table, owner.reader.table(parent, medium), parent, depth)
    if medium == DISK and (image, ROOT) in owner.reader.shelf.sources():
        return tables.difference(table, owner.reader.image_table(image, ROOT), tables.ON_IMAGE, 0)
    return tables.difference(table, np.empty(0, np.uint64), tables.NOTHING, 0)


def _record(owner: Owner, captured: Captured, identified: Identified, label: Label, ids: Ids) -> Record:
    count = len(identified.rows)
    below = owner.reader.table(captured.base, MEMORY) if captured.base else np.empty(0, np.uint64)
    memory = _laid_over(below, captured.spec.memory_bytes, identified.memory.places, ids)
    under = disk_below(owner, captured)
    disk = _laid_over(under, captured.spec.disk_bytes, identified.disk.places, ids[count:])
    manifest = Manifest(
        FORMAT, identified.id, identified.state_id, identified.parents, captured.image, captured.base, captured.spec,
        count, captured.quiesced, identified.memory.root, identified.disk.root, label,
    )  # fmt: skip
    parent = identified.parents[0] if identified.parents else ""
    return make_record(owner, manifest, captured.devices, memory, disk, parent)


def _laid_over(below: Ids, size_bytes: int, places: Ids, ids: Ids) -> Ids:
    table = np.zeros(size_bytes // PAGE_BYTES, np.uint64)
    table[: len(below)] = below[: len(table)]
    table[places.astype(np.int64)] = ids[: len(places)]
    return table


def _gather(rows: Rows, memory: Contents, disk: Callable[[Rows], Contents]) -> Contents:
    """Contents of rows that count through the memory's pages, then through the disk's."""
    out = np.empty((len(rows), PAGE_BYTES), np.uint8)
    in_memory = rows < len(memory)
    out[in_memory] = memory[rows[in_memory]]
    if not in_memory.all():
        out[~in_memory] = disk(rows[~in_memory] - len(memory))
    return out


def _in_order(
    owner: Owner, rows: Rows, contents: Callable[[Rows], Contents], kernel: Ids, early: Mask
) -> tuple[Rows, Ids]:
    """Rows in the order in which they are packed, and the kernel page that each is stored against. Like next to like
    packs best.
    """
    against = np.zeros(len(rows), np.uint64)
    near = np.flatnonzero(rows < len(kernel))
    near = near[kernel[rows[near]] != 0]
    for at in range(0, len(near), BATCH_PAGES):
        part = near[at : at + BATCH_PAGES]
        candidates = kernel[rows[part]]
        differing = (contents(rows[part]) != owner.reader.contents(candidates)).sum(axis=1)
        against[part] = np.where(differing < PATCHED_BYTES, candidates, np.uint64(0))
    late = np.ones(len(rows), bool)
    late[rows < len(early)] = ~early[rows[rows < len(early)]]
    order = np.lexsort((against == 0, late))
    return rows[order], against[order]
