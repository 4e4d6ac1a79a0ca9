"""Export and import: one self-contained file, a pack of all a commit's pages with its record before the directory.

What is imported is not ours: nothing of it is used before it has the shape and the hashes it claims, and the words in
it that name files or go to QEMU are plain ones.
"""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.errors import Conflict, Damaged
from core.model import PAGE_BYTES
from core.store import tables
from core.store.hashing import Contents, page_hashes, root_hash
from core.store.identify import changed_chunks, commit_id, state_id
from core.store.owner import Owner
from core.store.pack import Ids, Pack, Rows
from core.store.pack_writer import PackWriter
from core.store.protocol import DISK, MEMORY, Label, Manifest
from core.store.record import DEVICES, Record, parse_record, record_name
from core.store.seal import StoredPages, make_record, store_pages, write_record
from core.store.seekable import skippable
from core.store.shelf import Shelf

RECORD = 0x184D2A5C
BATCH_PAGES = 4096
LARGEST_BYTES = 1 << 44  # of a memory or disk; a hostile file might claim more
MOST_FRAME_PAGES = 1 << 12
ID, WORD, BRANCH = (
    re.compile(r"[0-9a-f]{40}"),
    re.compile(r"[\w.-]{1,100}", re.ASCII),
    re.compile(r"[\w-]{0,31}"),
)


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


def import_(owner: Owner, source: Path) -> tuple[Manifest, int]:
    """Store a commit from a file, if every page and id is what it says; its manifest and the bytes added, 0 if it is
    here already. Damaged, and nothing stored, if not.
    """
    pack, record = _opened(source)
    with owner.sealing:
        path = owner.layout.commits / record_name(record.manifest.id)
        if path.exists():
            owner.born.add(record.manifest.id)  # it may have no row yet
            return owner.reader.manifest(record.manifest.id), 0
        _verify(owner, pack, record)
        pages = _pages(owner, pack)
        try:
            made = _record(owner, record, np.concatenate([np.zeros(1, np.uint64), pages.ids]))
            size = write_record(owner, made)
        except BaseException:
            pages.abandon(owner, path)
            raise
        owner.born.add(made.manifest.id)
        pages.register(owner)
    return made.manifest, size + pages.size_bytes


def _opened(source: Path) -> tuple[Pack, Record]:
    """The file's pack and record, of sane shape."""
    try:
        pack = Pack(source, 0)
        _check_shape(pack)
        pack.check()
        record = parse_record(pack.extra(), source.name)
        _check_words(record.manifest)
        for medium, size in (
            (MEMORY, record.manifest.spec.memory_bytes),
            (DISK, record.manifest.spec.disk_bytes),
        ):
            stored = record.table(medium)
            if stored.pages * PAGE_BYTES != size or len(stored.places) != len(stored.ids):
                raise ValueError(f"its {medium} table has another size than its {medium}")
            if stored.lean or (len(stored.places) and stored.places.max() >= stored.pages):
                raise ValueError(f"its {medium} table is not whole")
    except (LookupError, ValueError, TypeError, AttributeError, Damaged) as error:
        text = str(error).replace(f"pack {source.name}", "it")
        raise Damaged(f"this file is no whole exported commit: {text}") from error
    return pack, record


def _check_shape(pack: Pack) -> None:
    """The directory's columns must fit each other: their hashes only say that nobody changed them since."""
    found, rows = pack.directory, len(pack.directory.ids)
    if not isinstance(found.frame_pages, int) or not 0 < found.frame_pages <= MOST_FRAME_PAGES:
        raise ValueError("it has no frames")
    frames = -(-rows // found.frame_pages)
    shapes = (found.ids, (rows,)), (found.hashes, (rows, 32)), (found.against, (rows,))
    more = (found.frame_bytes, (frames,)), (found.frame_hashes, (frames, 32)), (found.places, (0,))
    if any(array.shape != shape for array, shape in (*shapes, *more)):
        raise ValueError("its directory does not fit its pages")


def _check_words(told: Manifest) -> None:
    """What a manifest says must be of the kind it should be. Its ids are verified later; words are not in them all."""
    spec, label = told.spec, told.label
    words = (told.image, spec.machine, spec.cpu, spec.accelerator)
    numbers = (spec.memory_bytes, spec.disk_bytes, spec.vcpus)
    good = (
        all(ID.fullmatch(commit) for commit in (told.id, told.state_id, *told.parents))
        and all(WORD.fullmatch(word) and not word.startswith(".") for word in words)
        and all(type(number) is int and 0 < number <= LARGEST_BYTES for number in numbers)
        and isinstance(label, Label)
        and BRANCH.fullmatch(label.branch)
        and isinstance(label.message, str)
        and math.isfinite(label.created)
        and isinstance(told.quiesced, bool)
    )
    if not good or told.files.keys() != {DEVICES, MEMORY, DISK}:
        raise ValueError("its manifest is not one")


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
        return store_pages(owner, found.hashes, contents, np.empty(0, np.uint64), np.empty(0, bool))
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
