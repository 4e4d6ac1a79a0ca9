"""Moving pages: out of packs that are mostly dead or very small, and out of an image that goes. Ids never change."""

import contextlib
from dataclasses import replace

import numpy as np

from core.errors import Damaged
from core.store.collect import needed, use_index, with_references
from core.store.index import EMPTY, Run, merged, run_of, split
from core.store.layout import source_of, with_packs
from core.store.owner import Owner
from core.store.pack import Pack

LIVE_SHARE = 0.5  # a pack with less live than this is rewritten: copying costs no more than what comes back
SMALL_BYTES, MANY_SMALL = 1 << 20, 8  # so many packs of small commits are made one: each costs an open file
BATCH_PAGES = 4096


def compact(owner: Owner) -> int:
    """Rewrite such packs into one; bytes freed. One that is damaged stays as it is."""
    with owner.keeping, owner.sealing:
        chosen = _chosen(owner)
        if not chosen:
            return 0
        run = owner.index.everything
        packs, rows = split(run.locations)
        with owner.new_pack() as (number, writer):
            for old in chosen:
                live = np.sort(rows[packs == old])
                pack = owner.reader.shelf.pack(old)
                for at in range(0, len(live), BATCH_PAGES):
                    part = live[at : at + BATCH_PAGES]
                    found = pack.directory
                    contents = owner.reader.shelf.stored(pack, part)
                    writer.add(found.ids[part], found.hashes[part], contents, found.against[part])
            directory = writer.finish()
        index = with_packs(owner.index, {number: directory})
        whole = replace(index, large=index.everything, small=EMPTY, packs=index.packs - set(chosen))
        return use_index(owner, whole, frozenset(chosen)) - writer.path.stat().st_size


def forget_image(owner: Owner, image: str) -> None:
    """Find another place for pages that stand in an image's files: another image's, or a pack."""
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
            number, moved = _into_pack(owner, homeless)
            parts.append(moved)
            kept |= {number}
        index = replace(owner.index, large=merged(parts), small=EMPTY, packs=kept)
        use_index(owner, index, frozenset(mine))
        owner.reader.shelf.forget_image(image)


def _into_pack(owner: Owner, run: Run) -> tuple[int, Run]:
    with owner.new_pack() as (number, writer):
        for at in range(0, len(run.ids), BATCH_PAGES):
            part = slice(at, at + BATCH_PAGES)
            contents = owner.reader.contents(run.ids[part])
            writer.add(run.ids[part], run.hashes[part], contents, np.zeros(len(contents), np.uint64))
        return number, run_of({number: writer.finish()})


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
