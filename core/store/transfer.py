"""Export and import: one self-contained file, a pack of all a commit's pages with its record before the directory."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from core.errors import Conflict, Damaged
from core.store import tables
from core.store.hashing import Contents, page_hashes, root_hash
from core.store.identify import changed_chunks, commit_id, state_id
from core.store.owner import Owner
from core.store.pack import Ids, Pack, Rows
from core.store.pack_writer import PackWriter
from core.store.protocol import DISK, MEMORY, Manifest
from core.store.record import Record, parse_record, record_name
from core.store.seal import StoredPages, make_record, store_pages, write_record
from core.store.seekable import skippable
from core.store.shelf import Shelf

RECORD = 0x184D2A5C
BATCH_PAGES = 4096


def export(owner: Owner, commit: str, target: Path) -> int:
    """Write a commit to a file that must not be there; its size. Every page is verified on the way."""
    if target.exists():
        raise Conflict(f"{target} is there already: choose another name")
    record = owner.reader.record(commit)
    media = {medium: owner.reader.table(commit, medium) for medium in (MEMORY, DISK)}
    ids = np.unique(np.concatenate(list(media.values())))
    ids = ids[ids != 0]
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


def import_(owner: Owner, source: Path) -> Manifest:
    """Store a commit from a file, if every page and id is what it says. Damaged, and nothing stored, if not."""
    pack = Pack(source, 0)
    try:
        pack.check()
        record = parse_record(pack.extra(), source.name)
    except (IndexError, ValueError) as error:
        raise Damaged(f"{source.name} is no exported commit: {error}") from error
    with owner.sealing:
        path = owner.layout.commits / record_name(record.manifest.id)
        if path.exists():
            return owner.reader.manifest(record.manifest.id)
        _verify(owner, pack, record)
        pages = _pages(owner, pack)
        try:
            made = _record(owner, record, np.concatenate([np.zeros(1, np.uint64), pages.ids]))
            write_record(owner, made)
        except BaseException:
            pages.abandon(owner, path)
            raise
        owner.born.add(made.manifest.id)
        pages.register(owner)
    return made.manifest


def _verify(owner: Owner, pack: Pack, record: Record) -> None:
    """The commit's ids must follow from its content."""
    told, roots = record.manifest, []
    for medium in (MEMORY, DISK):
        stored = record.table(medium)
        if len(stored.ids) and not 0 < stored.ids.min() <= stored.ids.max() <= len(pack.directory.ids):
            raise Damaged(f"the {medium} table of {pack.path.name} names pages that are not in it")
        hashes = pack.directory.hashes[stored.ids.astype(np.int64) - 1]
        none = stored.ids[:0]
        chunks = changed_chunks(owner, none, ("", medium), stored.pages, stored.places, hashes)
        roots.append(root_hash(stored.pages, chunks))
    state = state_id(told.spec, record.devices(), *roots)
    if (state, commit_id(state, told.parents)) != (told.state_id, told.id):
        raise Damaged(f"commit {told.id[:12]} of {pack.path.name} has another id than its content")


def _pages(owner: Owner, pack: Pack) -> StoredPages:
    """The file's pages in the store."""
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
        return store_pages(owner, found.hashes, contents, np.empty(0, np.uint64))
    finally:
        shelf.close()


def _record(owner: Owner, record: Record, ids: Ids) -> Record:
    """The commit as this store keeps it; `ids` are the store's, by the file's."""
    media = {m: ids[record.table(m).over(ids[:0]).astype(np.int64)] for m in (MEMORY, DISK)}
    count = int((media[MEMORY] != 0).sum())
    manifest = replace(record.manifest, base=None, page_count=count, foreign=True)
    return make_record(owner, manifest, record.devices(), media[MEMORY], media[DISK], "")


def _local(table: Ids, ids: Ids) -> tables.Difference:
    """A table in the file's own ids: 1 + the place among `ids`, 0 for the zero page."""
    local = np.where(table == 0, 0, np.searchsorted(ids, table) + 1).astype(np.uint64)
    return tables.difference(local, table[:0], tables.NOTHING, 0)
