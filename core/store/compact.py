"""Moving pages: out of packs that are mostly dead or very small, and out of an image that goes. Ids never change."""

import contextlib
from dataclasses import replace

import numpy as np

from core.errors import Damaged
from core.progress import Told, nobody
from core.store.collect import needed, use_index, with_references
from core.store.index import EMPTY, Run, merged, run_of, split
from core.store.layout import source_of, with_packs
from core.store.owner import Owner
from core.store.pack import Ids, Pack, Rows
from core.store.pack_writer import PackWriter
from core.store.values import MEMORY

LIVE_SHARE = 0.5  # a pack with less live than this is rewritten: copying costs no more than what comes back
SMALL_BYTES, MANY_SMALL = 1 << 20, 8  # so many packs of small commits are made one: each costs an open file
BATCH_PAGES = 4096
GATHER_LEVEL = 12  # once an image: 2 s, and the golden commit's memory with what is gathered is below 8 MB


def compact(owner: Owner, told: Told = nobody) -> int:
    """Rewrite packs that are mostly dead, or many small ones, into one; bytes freed. A damaged pack stays as it is.
    `told` hears how many packs of how many are done.
    """
    with owner.keeping, owner.sealing:
        return _rewrite(owner, _chosen(owner), np.empty(0, np.uint64), told=told)


def gather(owner: Owner, commit: str, places: Rows) -> None:
    """Store the pages at these places of a commit's memory side by side, each whole, apart from the pages around them
    now.

    The packs they come from are rewritten without them. Pages of an image's files are copied.
    """
    with owner.keeping, owner.sealing, owner.pinned(commit):
        ids = owner.reader.table(commit, MEMORY)[places]
        _, first = np.unique(ids, return_index=True)
        ids = ids[np.sort(first)]
        ids = ids[ids != 0]
        found = set(split(owner.index.locate(ids))[0].tolist())
        paths = owner.reader.shelf.paths()
        _rewrite(
            owner, [n for n in sorted(found & paths.keys()) if not source_of(paths[n])], ids, GATHER_LEVEL
        )


def _rewrite(
    owner: Owner,
    chosen: list[int],
    ahead: Ids,
    level: int | None = None,
    told: Told = nobody,
) -> int:
    """Write the pages `ahead`, and then the live ones of these packs as they are, into one pack; bytes freed."""
    if not chosen and not len(ahead):
        return 0
    run = owner.index.everything
    packs, rows = split(run.locations)
    rest = ~np.isin(run.ids, ahead)
    with owner.new_pack(level) as (number, writer):
        _add(owner, writer, ahead)
        for done, old in enumerate(chosen, 1):
            live = np.sort(rows[(packs == old) & rest])
            pack = owner.reader.shelf.pack(old)
            for at in range(0, len(live), BATCH_PAGES):
                part = live[at : at + BATCH_PAGES]
                found = pack.directory
                contents = owner.reader.shelf.stored(pack, part)
                writer.add(found.ids[part], found.hashes[part], contents, found.against[part])
            told(done, len(chosen))
        directory = writer.finish()
    index = with_packs(owner.index, {number: directory})
    whole = replace(index, large=index.everything, small=EMPTY, packs=index.packs - set(chosen))
    return use_index(owner, whole, frozenset(chosen)) - writer.path.stat().st_size


def forget_image(owner: Owner, image: str, told: Told = nobody) -> None:
    """Find another place for pages that stand in an image's files: another image's, or a pack. `told` hears how many of
    the latter are written.
    """
    with owner.keeping, owner.sealing:
        sources = owner.reader.shelf.sources()
        mine = [number for source, number in sources.items() if source[0] == image]
        if not mine:
            return
        run = owner.index.everything
        leaving = run.only(np.isin(split(run.locations)[0], mine))
        others = {n: owner.reader.shelf.pack(n).directory for n in sources.values() if n not in mine}
        elsewhere = run_of(others)
        elsewhere = elsewhere.only(np.isin(elsewhere.ids, leaving.ids))
        used = with_references(owner, run, needed(owner, frozenset(owner.reader.commits())))
        homeless = leaving.only(np.isin(leaving.ids, used) & ~np.isin(leaving.ids, elsewhere.ids))
        parts, kept = [run.without_packs(mine), elsewhere], owner.index.packs - set(mine)
        if len(homeless.ids):
            number, moved = _into_pack(owner, homeless, told)
            parts.append(moved)
            kept |= {number}
        index = replace(owner.index, large=merged(parts), small=EMPTY, packs=kept)
        use_index(owner, index, frozenset(mine))
        owner.reader.shelf.forget_image(image)


def _into_pack(owner: Owner, run: Run, told: Told) -> tuple[int, Run]:
    with owner.new_pack() as (number, writer):
        _add(owner, writer, run.ids, told)
        return number, run_of({number: writer.finish()})


def _add(owner: Owner, writer: PackWriter, ids: Ids, told: Told = nobody) -> None:
    """Write pages whole, wherever they are now."""
    for at in range(0, len(ids), BATCH_PAGES):
        part = ids[at : at + BATCH_PAGES]
        contents = owner.reader.contents(part)
        writer.add(part, owner.index.hashes(part)[0], contents, np.zeros(len(part), np.uint64))
        told(at + len(part), len(ids))


def _chosen(owner: Owner) -> list[int]:
    """Packs worth rewriting that can be read whole; external ones are not rewritten."""
    packs = split(owner.index.everything.locations)[0]
    sparse, small = [], []
    for number, path in owner.reader.shelf.paths().items():
        live = int((packs == number).sum())
        with contextlib.suppress(Damaged):
            pack = owner.reader.shelf.pack(number)
            if source_of(path) or not live:
                continue
            if live < LIVE_SHARE * len(pack.directory.ids):
                sparse.append(number)
            elif pack.size_bytes < SMALL_BYTES:
                small.append(number)
    wanted = sorted(sparse + (small if len(small) >= MANY_SMALL else []))
    return [number for number in wanted if _readable(owner.reader.shelf.pack(number))]


def _readable(pack: Pack) -> bool:
    try:
        for number in range(len(pack.directory.frame_bytes)):
            pack.frame(number)
    except Damaged:
        return False
    return True
