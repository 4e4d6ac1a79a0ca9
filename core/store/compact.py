"""Moving pages: out of packs that are mostly dead or very small, and out of an image that goes. Ids never change."""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.errors import Damaged, NotFound
from core.progress import Told, nobody
from core.store.collect import needed, use_index, with_references
from core.store.index import EMPTY, NOWHERE, Index, Run, merged, run_of, split
from core.store.layout import source_of, with_packs
from core.store.owner import Owner
from core.store.pack import Ids, Pack, Rows
from core.store.pack_writer import PackWriter
from core.store.reader import BadPage
from core.store.values import MEMORY

LIVE_SHARE = 0.5  # a pack with less live than this is rewritten: copying costs no more than what comes back
MOST_DEAD = 1 / 8  # of the pages in all packs: the sparsest are rewritten until no more than this is dead
BATCH_BYTES = 256 << 20  # of packs that are rewritten into one: commits are sealed between these
SMALL_BYTES, MANY_SMALL = 1 << 20, 8  # so many packs of small commits are made one: each costs an open file
BATCH_PAGES = 4096
GATHER_LEVEL = 12  # once an image: 2 s, and the golden commit's memory with what is gathered is below 8 MB
DEAD_SHARE = 1 / 16  # a pack that pages were gathered from stays while no more of it is dead
NOTHING = np.empty(0, np.uint64)


@dataclass(frozen=True)
class Filling:
    """How many pages of a pack are needed, and how many it holds; what it takes on the disk."""

    live: int
    held: int
    size_bytes: int

    @property
    def live_bytes(self) -> float:
        """About what its needed pages take."""
        return self.size_bytes * self.live / self.held


def compact(owner: Owner, told: Told = nobody, room_bytes: float = math.inf) -> int:
    """Rewrite packs that are mostly dead, or many small ones, as one; and the sparsest of the others, until little of
    all is dead. So many bytes may be written before any comes back. The bytes freed; a damaged pack stays as it is.
    `told` hears how many packs of how many are done.
    """
    with owner.keeping:
        with owner.sealing:
            chosen = _sound(owner, sorted(_chosen(_filled(owner, _live(owner.index)), room_bytes)))
        freed = done = 0
        for batch in _batches(owner, chosen):
            with owner.sealing:
                freed += _rewrite(owner, batch, NOTHING, told=_further(told, done, len(chosen)))
            done += len(batch)
        return freed


def would_free(owner: Owner, live: Ids, room_bytes: float = math.inf) -> int:
    """About how many bytes `compact` would free were these the pages that are needed."""
    with owner.keeping, owner.sealing:
        used = with_references(owner, owner.index.everything, live)
        packs = _filled(owner, _live(owner.index, used))
        chosen = (packs[number] for number in _chosen(packs, room_bytes))
        return int(sum(pack.size_bytes - pack.live_bytes for pack in chosen))


def gather(owner: Owner, lists: Mapping[str, Rows]) -> None:
    """Store the pages at these places of these commits' memories side by side, each whole, and nothing between them.

    Pages that the same commits name are neighbours, in the order in which the first of these names them: whoever reads
    one commit's places reads few pages of the others. The order within a pack is kept when it is rewritten.

    What cannot be read is left out and stays where it is. Pages of an image's files are copied; the packs that the
    others come from are rewritten without them, unless they were few. To gather for one image alone would put pages of
    its own between those that other images share with it.
    """
    with owner.keeping, owner.sealing:
        ids = _readable_of(owner, _grouped(_named(owner, lists)))
        paths = owner.reader.shelf.paths()
        found = np.unique(split(owner.index.locate(ids))[0]).tolist()
        packs = [number for number in found if not source_of(paths[number])]
        newest, others = packs[-1:], packs[:-1]  # the newest is a new image's own: most of it goes along
        _rewrite(owner, _sound(owner, newest), ids, GATHER_LEVEL)
        live, shelf = _live(owner.index), owner.reader.shelf
        alive = {n: live.get(n, 0) / len(shelf.pack(n).outline.ids) for n in others}
        for number in _sound(owner, [n for n, share in alive.items() if 0 < share < 1 - DEAD_SHARE]):
            _rewrite(owner, [number], NOTHING, GATHER_LEVEL)


def _named(owner: Owner, lists: Mapping[str, Rows]) -> list[Ids]:
    """The ids at these places; none of a commit that is not there, or whose table cannot be read."""
    found = [NOTHING]
    for commit, places in lists.items():
        with contextlib.suppress(Damaged, NotFound):
            table = owner.reader.table(commit, MEMORY)
            found.append(table[places[places < len(table)]])
    return found


def _grouped(lists: Sequence[Ids]) -> Ids:
    """Every id in these lists once, by which of them it is in, and then as the first of them has it.

    The groups follow each other as in a Gray code, whose neighbours differ in one bit: what is in the first or in the
    second list is one stretch, what is in the third is two.
    """
    ids, first = np.unique(np.concatenate(lists), return_index=True)
    place = np.logical_xor.accumulate([np.isin(ids, one) for one in lists])
    order = np.lexsort((first, *place[::-1]))
    grouped: Ids = ids[order][ids[order] != 0]
    return grouped


def _readable_of(owner: Owner, ids: Ids) -> Ids:
    """Those of these pages that lie in packs all of whose pages among them can be read."""
    packs, damaged = split(owner.index.locate(ids))[0], []
    for number in np.unique(packs).tolist():
        mine = ids[packs == number]
        try:
            for at in range(0, len(mine), BATCH_PAGES):
                owner.reader.contents(mine[at : at + BATCH_PAGES])
        except BadPage:
            damaged.append(number)
    return ids[~np.isin(packs, damaged)]


def _batches(owner: Owner, packs: Sequence[int]) -> Iterator[list[int]]:
    """These packs, so many at a time as are of a size that nobody waits for long."""
    batch, size = list[int](), 0
    for number in packs:
        batch.append(number)
        size += _size(owner, number)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _further(told: Told, done: int, total: int) -> Told:
    """Tells of a batch as part of the whole."""
    return lambda more, _: told(done + more, total)


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


def _chosen(packs: Mapping[int, Filling], room_bytes: float) -> list[int]:
    """Packs worth rewriting, as far as what is live in them has room."""
    worth = worth_rewriting(packs)
    copied = np.cumsum([packs[number].live_bytes for number in worth])
    return worth[: int(np.searchsorted(copied, room_bytes, "right"))]


def _filled(owner: Owner, live: Mapping[int, int]) -> dict[int, Filling]:
    """Every pack that may be rewritten, with how many of its pages are live: none that lies in an image's files."""
    ours = (
        number
        for number, path in owner.reader.shelf.paths().items()
        if number in live and not source_of(path)
    )
    return {
        number: Filling(live[number], held, owner.reader.shelf.pack(number).size_bytes)
        for number in ours
        if (held := _held(owner, number))
    }


def worth_rewriting(packs: Mapping[int, Filling]) -> list[int]:
    """Packs to write as one, the sparsest first. Once that is done, none of what there is then is worth it."""
    held = sum(pack.held for pack in packs.values())
    dead = held - sum(pack.live for pack in packs.values())
    chosen, small = list[int](), list[int]()
    for number, pack in sorted(packs.items(), key=lambda item: item[1].live / item[1].held):
        if pack.live < LIVE_SHARE * pack.held or dead > MOST_DEAD * held:
            chosen.append(number)
            dead -= pack.held - pack.live
            held -= pack.held - pack.live
        elif pack.size_bytes < SMALL_BYTES:
            small.append(number)
    made = 1 if chosen else 0  # it may be small too
    return chosen + (small if len(small) + made >= MANY_SMALL else [])


def _held(owner: Owner, number: int) -> int:
    """How many pages a pack holds; 0 of one that cannot be read."""
    with contextlib.suppress(Damaged):
        return len(owner.reader.shelf.pack(number).outline.ids)
    return 0


def _size(owner: Owner, number: int) -> int:
    return owner.reader.shelf.pack(number).size_bytes


def _sound(owner: Owner, numbers: list[int]) -> list[int]:
    """Those of these packs that can be read whole."""
    return [number for number in numbers if _readable(owner.reader.shelf.pack(number))]


def _live(index: Index, ids: Ids | None = None) -> dict[int, int]:
    """How many pages, or how many of these, are read from each pack that any is read from."""
    where = index.everything.locations if ids is None else index.locate(ids)
    packs, counts = np.unique(split(where[where != NOWHERE])[0], return_counts=True)
    return dict(zip(packs.tolist(), counts.tolist(), strict=True))


def _readable(pack: Pack) -> bool:
    try:
        for number in range(len(pack.directory.frame_bytes)):
            pack.frame(number)
    except Damaged:
        return False
    return True
