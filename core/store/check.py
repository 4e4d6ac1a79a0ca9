"""Is everything as it was written? Index, packs, records, tables, and as many pages as asked."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from core.errors import Damaged, NotFound
from core.progress import Told, nobody
from core.store.identify import commit_id, root_of, state_id
from core.store.index import NOWHERE, Run, split
from core.store.owner import Owner, OwnReader
from core.store.pack import Ids, Pack, Rows
from core.store.reader import BadPage
from core.store.record import record_name
from core.store.values import DISK, MEMORY

BATCH_PAGES = 1024
UNUSED = "that no commit needs"


@dataclass(frozen=True)
class Problem:
    """Something that is not as it was written. `commit`, `medium` and `page` are given where it touches one."""

    what: str
    commit: str = ""
    medium: str = ""
    page: int | None = None
    pages: int = 0


def check(owner: Owner, read_data_percent: float, told: Told = nobody) -> list[Problem]:
    """All problems: of the store as a whole, then by commit. `told` hears how many packs and commits were looked at."""
    problems = [Problem(text) for text in owner.problems]
    with owner.keeping:
        commits = owner.reader.commits()  # before the packs: a commit sealed from now on is not looked at
        reader = OwnReader(owner.layout.home)  # nothing it says comes from pages read earlier
        try:
            problems += [Problem(text) for text in reader.problems if text not in owner.problems]
            problems += _everything(owner, reader, commits, read_data_percent, told)
        finally:
            reader.close()
    return problems


def _everything(
    owner: Owner, reader: OwnReader, commits: list[str], percent: float, told: Told
) -> list[Problem]:
    problems: list[Problem] = []
    total = len(reader.index.packs) + len(commits)
    bad: list[Ids] = [np.empty(0, np.uint64)]
    for done, (bad_here, ids) in enumerate(_packs(reader, percent), 1):
        problems += bad_here
        bad.append(ids)
        told(done, total)
    stray = lost = np.unique(np.concatenate(bad))
    for left, commit in zip(range(len(commits))[::-1], commits, strict=True):
        own = _commit(owner, reader, commit, lost)
        problems += own if (owner.layout.commits / record_name(commit)).exists() else []  # pruned meanwhile
        stray = np.setdiff1d(stray, _used(reader, commit)) if len(stray) else stray
        told(total - left, total)
    if len(stray):
        problems.append(Problem(f"{len(stray)} pages {UNUSED} cannot be read as written"))
    return problems


def _used(reader: OwnReader, commit: str) -> Ids:
    try:
        return np.concatenate([reader.table(commit, medium) for medium in (MEMORY, DISK)])
    except (Damaged, NotFound):  # reported already
        return np.empty(0, np.uint64)


def _packs(reader: OwnReader, percent: float) -> Iterator[tuple[list[Problem], Ids]]:
    """For each pack, what is wrong with it, and the ids of pages that cannot be read."""
    run = reader.index.everything
    packs, rows = split(run.locations)
    for number in sorted(reader.index.packs):
        mine = np.flatnonzero(packs == number)
        try:
            pack = reader.shelf.pack(number)
            pack.check()
            _agrees(pack, run, mine, rows)
        except Damaged as error:
            yield [Problem(str(error))], _bad_pages(reader, run.ids[mine])
            continue
        count = len(pack.outline.frame_bytes) or -(-len(mine) // pack.outline.frame_pages)
        picked = random.sample(range(count), min(count, round(count * percent / 100 + 0.5 * (percent > 0))))
        frames = rows[mine] // pack.outline.frame_pages
        unused = set(picked).difference(frames.tolist()) if len(pack.outline.frame_bytes) else ()
        yield _bad_frames(pack, unused), _bad_pages(reader, run.ids[mine[np.isin(frames, picked)]])


def _agrees(pack: Pack, run: Run, mine: Rows, rows: Rows) -> None:
    directory = pack.directory
    if len(mine) and (
        rows[mine].max() >= len(directory.ids)
        or (directory.ids[rows[mine]] != run.ids[mine]).any()
        or (directory.hashes[rows[mine]] != run.hashes[mine]).any()
    ):
        raise Damaged(f"pack {pack.path.name} does not hold what the index says")


def _bad_frames(pack: Pack, unused: Iterable[int]) -> list[Problem]:
    """Of the frames whose pages are all stored elsewhere as well, those that cannot be read."""
    problems = []
    for number in sorted(unused):
        try:
            pack.frame(number)
        except Damaged as error:
            problems.append(Problem(f"{error}: its pages are some {UNUSED}"))
    return problems


def _bad_pages(reader: OwnReader, ids: Ids) -> Ids:
    """Those of the ids whose pages cannot be read. Of a batch that fails each half is tried again."""
    waiting = [ids[at : at + BATCH_PAGES] for at in range(0, len(ids), BATCH_PAGES)]
    bad = []
    while waiting:
        part = waiting.pop()
        if _reads(reader, part):
            continue
        if len(part) == 1:
            bad.append(part)
        else:
            waiting += [part[: len(part) // 2], part[len(part) // 2 :]]
    return np.concatenate([np.empty(0, np.uint64), *bad])


def _reads(reader: OwnReader, ids: Ids) -> bool:
    try:
        reader.contents(ids)
    except BadPage:
        return False
    return True


def _commit(owner: Owner, reader: OwnReader, commit: str, bad: Ids) -> list[Problem]:
    try:
        record = reader.record(commit)
        manifest, devices = record.manifest, record.devices()
        if manifest.id != commit:
            return [Problem(f"the record of commit {commit[:12]} is another's", commit)]
        tables = {medium: reader.table(commit, medium) for medium in (MEMORY, DISK)}
        problems = [p for medium, table in tables.items() for p in _table(reader, commit, medium, table, bad)]
        if problems:
            return problems
        roots = {medium: root_of(owner, table) for medium, table in tables.items()}
        if roots != {MEMORY: manifest.memory, DISK: manifest.disk}:
            return [Problem(f"a table of commit {commit[:12]} has another root than was written", commit)]
        state = state_id(manifest.spec, devices, manifest.memory, manifest.disk)
        if (state, commit_id(state, manifest.parents)) != (manifest.state_id, manifest.id):
            return [Problem(f"commit {commit[:12]} has another id than its content", commit)]
    except (Damaged, NotFound) as error:
        return [Problem(str(error), commit)]
    return []


def _table(reader: OwnReader, commit: str, medium: str, table: Ids, bad: Ids) -> list[Problem]:
    used = np.flatnonzero(table)
    lost = used[(reader.index.locate(table[used]) == NOWHERE) | np.isin(table[used], bad)]
    if not len(lost):
        return []
    first = int(lost[0])
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    text = f"page {first}{more} of the {medium} of commit {commit[:12]} cannot be read as written"
    return [Problem(text, commit, medium, first, len(lost))]
