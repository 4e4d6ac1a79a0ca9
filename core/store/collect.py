"""Delete and gc: commits go at once, pages when no commit names them."""

import contextlib
from dataclasses import dataclass, replace

import numpy as np

from core.errors import Damaged, NotFound
from core.files import file_bytes
from core.progress import Told, nobody
from core.store import tables
from core.store.image_pages import image_directory
from core.store.index import EMPTY, Index, Run, split
from core.store.index_file import write_index
from core.store.layout import PackSource, source_of
from core.store.owner import Owner
from core.store.pack import Ids
from core.store.record import Record, record_name
from core.store.seal import write_record
from core.store.values import DISK, MEMORY

MEDIA = (MEMORY, DISK)


@dataclass(frozen=True)
class Marked:
    """What gc found: leftover commits, ids that are needed, the commits looked at, bytes of packs that would go."""

    leftover: tuple[str, ...]
    live: Ids
    seen: frozenset[str]
    frees_bytes: int

    @property
    def steps(self) -> int:
        """Of a gc: each commit is looked at or removed, and at last the index is written without what none needs."""
        return len(self.seen) + 1


def delete(owner: Owner, commit: str) -> None:
    """Remove a commit's record; idempotent. Tables that lean on it are first rewritten, to lean on what it leans on."""
    with owner.sealing:
        for name in owner.reader.commits():
            if name != commit and commit in _leans(owner, name):
                _relean(owner, name, commit)
        owner.files.unlink(owner.layout.commits / record_name(commit))
        owner.reader.forget(commit)
        owner.born.discard(commit)
        owner.leans.pop(commit, None)


def mark(owner: Owner, keep: frozenset[str], told: Told = nobody) -> Marked:
    """Walk all commits but the leftovers of a crash: those that are neither in `keep` nor sealed by this process.
    `told` hears how many of a gc's steps are done.
    """
    commits = frozenset(owner.reader.commits())
    leftover = commits - keep - owner.born
    live = needed(owner, commits - leftover, lambda done, _: told(done, len(commits) + 1))
    freed = _packs_bytes(owner, _without(owner, live)[1])
    return Marked(tuple(sorted(leftover)), live, commits, freed)


def sweep(owner: Owner, marked: Marked, told: Told = nobody) -> int:
    """Remove dead pages from the index and then dead packs. Nothing is sealed or looked up meanwhile.

    Commits sealed since `mark`, and pages pinned by readers, are kept. `told` hears how many of a gc's steps are done.
    """
    with owner.keeping, owner.sealing, owner.pinning:
        for left, commit in zip(range(len(marked.leftover))[::-1], marked.leftover, strict=True):
            if commit not in owner.born:
                delete(owner, commit)
            told(marked.steps - 1 - left, marked.steps)
        since = frozenset(owner.reader.commits()) - marked.seen
        live = np.unique(np.concatenate([marked.live, needed(owner, since), owner.pinned_ids()]))
        index, dead = _without(owner, live)
        owner.files.fsync(owner.layout.commits)  # a record must not come back after its pages went
        freed = use_index(owner, index, dead)
    told(marked.steps, marked.steps)
    return freed


def use_index(owner: Owner, index: Index, dead: frozenset[int]) -> int:
    """Switch lookups to this index, make it durable, and then remove the packs it does without; bytes freed.

    Lookups are switched first. When writing fails, a crash may leave the old index or the new one, and a page must not
    be found in a pack that either takes for dead.
    """
    freed = _packs_bytes(owner, dead)
    owner.set_index(index)
    owner.set_index(write_index(owner.files, owner.layout.index, index))
    paths = owner.layout.list_packs()
    for number in sorted(dead):
        owner.files.unlink(paths[number])
    return freed


def needed(owner: Owner, commits: frozenset[str], told: Told = nobody) -> Ids:
    """Every page id that these commits name: what their tables store, and all ids of a table that leans on a commit
    which is not among them.

    A commit that cannot be read is left out: its pages cannot be found by it either. `told` hears how many were read.
    """
    parts = [np.empty(0, np.uint64)]
    for done, commit in enumerate(sorted(commits), 1):
        with contextlib.suppress(Damaged, NotFound):
            record = owner.reader.record(commit)
            for medium in MEDIA:
                stored = record.table(medium)
                whole = stored.lean not in commits and stored.lean not in (tables.NOTHING, tables.ON_IMAGE)
                parts.append(np.unique(owner.reader.table(commit, medium)) if whole else stored.ids)
        told(done, len(commits))
    return np.unique(np.concatenate(parts))


def _without(owner: Owner, live: Ids) -> tuple[Index, frozenset[int]]:
    """The index with live pages only, and the packs that hold none. Pages of images that are there are live."""
    run = owner.index.everything
    external = {
        number: source
        for number, path in owner.reader.shelf.paths().items()
        if (source := source_of(path)) and _present(owner, source)
    }
    used = with_references(owner, run, live)
    packs = split(run.locations)[0]
    kept = run.only(np.isin(run.ids, used) | np.isin(packs, list(external)))
    alive = frozenset(np.unique(split(kept.locations)[0]).tolist()) | frozenset(external)
    dead = frozenset(owner.layout.list_packs()) - alive
    if (run.rows(live) < 0).any():  # pages are missing: a pack that cannot be read may hold them
        dead &= owner.index.packs
    return replace(owner.index, large=kept, small=EMPTY, packs=alive), dead


def with_references(owner: Owner, run: Run, live: Ids) -> Ids:
    """Live ids and those of pages they are stored against."""
    rows = run.rows(live)
    packs, places = split(run.locations[rows[rows >= 0]])
    parts = [live]
    for number in np.unique(packs).tolist():
        with contextlib.suppress(Damaged):
            against = owner.reader.shelf.pack(number).outline.against
            parts.append(against[places[packs == number]])
    return np.unique(np.concatenate(parts))


def _present(owner: Owner, source: PackSource) -> bool:
    return (image_directory(owner.layout.images, source[0]) / source[1]).exists()


def _packs_bytes(owner: Owner, packs: frozenset[int]) -> int:
    paths = owner.layout.list_packs()
    return sum(file_bytes(paths[number]) for number in packs & paths.keys())


def _leans(owner: Owner, name: str) -> frozenset[str]:
    """The commits that tables of a commit lean on; remembered."""
    if name not in owner.leans:
        try:
            record = owner.reader.record(name)
            owner.leans[name] = frozenset(record.table(medium).lean for medium in MEDIA)
        except (Damaged, NotFound):  # what cannot be read now cannot be saved; `check` has named it
            owner.leans[name] = frozenset()
    return owner.leans[name]


def _relean(owner: Owner, name: str, gone: str) -> None:
    """Write a commit's record again, so that its tables do not lean on one that goes."""
    try:
        record = owner.reader.record(name)
        stored = {medium: record.table(medium) for medium in MEDIA}
        below = owner.reader.record(gone)
        made = {m: _moved(owner, record, m, t, below) if t.lean == gone else t for m, t in stored.items()}
    except (Damaged, NotFound):
        return
    owner.leans.pop(name)
    sections = record.sections | {medium: table.encode() for medium, table in made.items()}
    write_record(owner, replace(record, sections=sections).described())


def _moved(
    owner: Owner, record: Record, medium: str, stored: tables.Difference, below: Record
) -> tables.Difference:
    """The same table, leaning on what the table below it leans on."""
    under = below.table(medium)
    same_image = record.manifest.image == below.manifest.image
    lean = under.lean if same_image or under.lean != tables.ON_IMAGE else tables.NOTHING
    table = owner.reader.table(record.manifest.id, medium)
    base = owner.reader.below(record.manifest.image, lean, medium)
    return tables.difference(table, base, lean, under.depth)
