"""Export and import: one self-contained file, a pack of all a commit's pages with its record before the directory.

What is imported is not ours: see `foreign` for what it may say. Nothing of it is used before it has the shape and the
hashes it claims.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from core.errors import Conflict, Damaged, Unsupported
from core.store import tables
from core.store.foreign import MOST_ENTRIES, MOST_PAGES, RECORD, opened
from core.store.hashing import CHUNK_PAGES, ZERO_CHUNK, Contents, Hashes, page_hashes, root_hash
from core.store.identify import changed_chunks, commit_id, state_id
from core.store.owner import Owner
from core.store.pack import Ids, Pack, Rows
from core.store.pack_writer import PackWriter
from core.store.record import DEVICES, Record, pack_devices, record_name
from core.store.seal import WrittenPages, store_pages, write_record
from core.store.seekable import skippable
from core.store.shelf import Shelf
from core.store.values import DISK, MEMORY, Manifest

BATCH_PAGES = 4096
BATCH_CHUNKS = 256  # of a table are hashed at once


def export(owner: Owner, commit: str, target: Path) -> int:
    """Write a commit to a file that must not be there; its size. Every page is verified on the way."""
    if target.exists():
        raise Conflict(f"{target} is there already: choose another name")
    record = owner.reader.record(commit)
    media = {medium: owner.reader.table(commit, medium) for medium in (MEMORY, DISK)}
    ids = np.unique(np.concatenate(list(media.values())))
    ids = ids[ids != 0]
    if len(ids) > MOST_PAGES or any(np.count_nonzero(table) > MOST_ENTRIES for table in media.values()):
        raise Unsupported(
            f"commit {commit[:12]} is too large: an exported one holds {MOST_PAGES >> 18} GiB at most"
        )
    try:
        writer = PackWriter(owner.files, target, owner.frame_pages, owner.level)
        for at in range(0, len(ids), BATCH_PAGES):
            part = ids[at : at + BATCH_PAGES]
            pages = owner.reader.pages(commit, "pages", part.astype(np.int64), part)
            numbers = np.arange(at + 1, at + 1 + len(part), dtype=np.uint64)
            writer.add(numbers, owner.index.hashes(part)[0], pages, np.zeros(len(part), np.uint64))
        sections = record.sections | {m: _local(table, ids).encode() for m, table in media.items()}
        writer.finish(skippable(RECORD, replace(record, sections=sections).described().encode()))
    except BaseException:
        owner.files.unlink(target)
        raise
    return target.stat().st_size


def import_(owner: Owner, source: Path) -> tuple[Manifest, int]:
    """Store a commit from a file, if every page and id is what it says; its manifest and the bytes added, 0 if it is
    here already. Damaged, and nothing stored, if not.
    """
    pack, record = opened(source)
    with owner.sealing:
        path = owner.layout.commits / record_name(record.manifest.id)
        if path.exists():
            owner.born.add(record.manifest.id)  # it may have no row yet
            return owner.reader.manifest(record.manifest.id), 0
        _verify(owner, pack, record)
        pages = _pages(owner, pack)
        try:
            made = _record(record, np.concatenate([np.zeros(1, np.uint64), pages.ids]))
            size = write_record(owner, made)
        except BaseException:
            pages.abandon(owner, path)
            raise
        owner.born.add(made.manifest.id)
        pages.register(owner)
    return made.manifest, size + pages.size_bytes


def _verify(owner: Owner, pack: Pack, record: Record) -> None:
    """The commit's ids must follow from its content."""
    told = record.manifest
    roots = [_root(owner, record.table(medium), medium, pack) for medium in (MEMORY, DISK)]
    state = state_id(told.spec, record.devices(), *roots)
    if (state, commit_id(state, told.parents)) != (told.state_id, told.id):
        raise Damaged(f"commit {told.id[:12]} of {pack.path.name} has another id than its content")


def _root(owner: Owner, stored: tables.Difference, medium: str, pack: Pack) -> str:
    """The root hash of a table of the file, a part at a time: the hashes of all its pages would take much memory."""
    if len(stored.ids) and not 0 < stored.ids.min() <= stored.ids.max() <= len(pack.directory.ids):
        raise Damaged(f"the {medium} table of {pack.path.name} names pages that are not in it")
    chunks: Hashes = np.tile(ZERO_CHUNK, (-(-stored.pages // CHUNK_PAGES), 1))
    which = np.unique(stored.places // np.uint64(CHUNK_PAGES))
    for at in range(0, len(which), BATCH_CHUNKS):
        part = which[at : at + BATCH_CHUNKS]
        low, high = np.searchsorted(stored.places, np.array([part[0], part[-1] + 1]) * np.uint64(CHUNK_PAGES))
        places, hashes = (
            stored.places[low:high],
            pack.directory.hashes[stored.ids[low:high].astype(np.int64) - 1],
        )
        made = changed_chunks(owner, stored.ids[:0], ("", medium), stored.pages, places, hashes)
        chunks[part.astype(np.int64)] = made[part.astype(np.int64)]
    return root_hash(stored.pages, chunks)


def _pages(owner: Owner, pack: Pack) -> WrittenPages:
    """Store the file's pages: their ids here."""
    found, shelf = pack.directory, Shelf(owner.layout)
    if (found.ids != np.arange(1, len(found.ids) + 1)).any() or found.against.any() or found.source:
        raise Damaged(f"{pack.path.name} is no exported commit: its pages are not all in it")

    def contents(rows: Rows) -> Contents:
        pages = shelf.stored(pack, rows)
        if (page_hashes(pages) != found.hashes[rows]).any():
            raise Damaged(f"a page of {pack.path.name} is not what was written")
        return pages

    try:
        for at in range(0, len(found.ids), BATCH_PAGES):
            contents(np.arange(at, min(at + BATCH_PAGES, len(found.ids))))
        return store_pages(owner, found.hashes, contents, np.empty(0, np.uint64), np.empty(0, bool))
    finally:
        shelf.close()


def _record(record: Record, ids: Ids) -> Record:
    """The commit as this store keeps it; `ids` are the store's, in the file's order. No table is made whole for it."""
    media = {medium: record.table(medium) for medium in (MEMORY, DISK)}
    manifest = replace(record.manifest, base=None, page_count=len(media[MEMORY].ids), foreign=True)
    made = {m: replace(table, ids=ids[table.ids.astype(np.int64)]).encode() for m, table in media.items()}
    return Record(manifest, {DEVICES: pack_devices(record.devices()), **made}).described()


def _local(table: Ids, ids: Ids) -> tables.Difference:
    """A table in the file's own ids: 1 + the place among `ids`, 0 for the zero page."""
    local = np.where(table == 0, 0, np.searchsorted(ids, table) + 1).astype(np.uint64)
    return tables.difference(local, table[:0], tables.NOTHING, 0)
