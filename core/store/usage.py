"""What commits take. Pages are shared, so that a commit has four sizes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import Damaged, NotFound
from core.files import file_bytes, listed
from core.model import PAGE_BYTES
from core.store.index import Run, split
from core.store.layout import source_of
from core.store.owner import Owner
from core.store.pack import Rows
from core.store.record import record_name
from core.store.values import DISK, MEMORY


@dataclass(frozen=True)
class CommitUsage:
    """logical: its pages that are not zero. stored: what those take in packs, with its record. shared: the part of that
    which other commits use, too. unique: what pruning it would free.
    """

    logical_bytes: int
    stored_bytes: int
    shared_bytes: int
    unique_bytes: int


@dataclass(frozen=True)
class CommitGroup:
    """Commits looked at together, such as a branch's, and those of them that would go with it."""

    commits: frozenset[str]
    going: frozenset[str]


@dataclass(frozen=True)
class Usage:
    """The store's size, each commit's by id and each group's by name; a group's logical pages are counted once a
    commit. `dedup` is logical pages to distinct ones; `compression` is what distinct pages in packs hold to what they
    take.
    """

    commits: dict[str, CommitUsage]
    groups: dict[str, CommitUsage]
    packs_bytes: int
    index_bytes: int
    records_bytes: int
    dedup: float
    compression: float


def usage(owner: Owner, groups: Mapping[str, CommitGroup]) -> Usage:
    """Measure everything. Commits that cannot be read are left out."""
    run = owner.index.everything
    costs = _costs(owner, run)
    found = {commit: _rows(owner, run, commit) for commit in owner.reader.commits()}
    used = {commit: rows for commit, rows in found.items() if rows is not None}
    uses = np.zeros(len(run.ids), np.int64)
    for _, mine in used.values():
        uses[mine] += 1
    records = {commit: file_bytes(owner.layout.commits / record_name(commit)) for commit in used}

    def measured(group: CommitGroup) -> CommitUsage:
        commits, going = group.commits & used.keys(), group.going & used.keys()
        rows, _ = _together(used[commit][1] for commit in commits)
        leaving, counts = _together(used[commit][1] for commit in going)
        own = round(costs[leaving[counts == uses[leaving]]].sum()) + sum(records[commit] for commit in going)
        stored = round(costs[rows].sum()) + sum(records[commit] for commit in commits)
        logical = sum(used[commit][0] for commit in commits) * PAGE_BYTES
        return CommitUsage(logical, stored, stored - own, own)

    commits = {commit: measured(CommitGroup(frozenset([commit]), frozenset([commit]))) for commit in used}
    packed = float(costs.sum())
    return Usage(
        commits,
        {name: measured(group) for name, group in groups.items()},
        sum(map(file_bytes, owner.reader.shelf.paths().values())),
        file_bytes(owner.layout.index),
        sum(map(file_bytes, listed(owner.layout.commits, "*.commit"))),
        sum(pages for pages, _ in used.values()) / max(1, int((uses > 0).sum())),
        int((costs > 0).sum()) * PAGE_BYTES / packed if packed else 1.0,
    )


def _rows(owner: Owner, run: Run, commit: str) -> tuple[int, Rows] | None:
    """How many pages of a commit are not zero, and the rows of the distinct ones."""
    try:
        table = np.concatenate([owner.reader.table(commit, medium) for medium in (MEMORY, DISK)])
    except (Damaged, NotFound):
        return None
    rows = run.rows(np.unique(table[table != 0]))
    return int((table != 0).sum()), rows[rows >= 0]


def _together(parts: Iterable[Rows]) -> tuple[Rows, Rows]:
    """Rows that are in any part, and in how many."""
    return np.unique(np.concatenate([np.empty(0, np.int64), *parts]), return_counts=True)


def _costs(owner: Owner, run: Run) -> NDArray[np.float64]:
    """A page's share of its frame, by row; nothing for a page of an image."""
    costs = np.zeros(len(run.ids))
    packs, rows = split(run.locations)
    for number, path in owner.reader.shelf.paths().items():
        if source_of(path):
            continue
        mine = packs == number
        try:
            found = owner.reader.shelf.pack(number).outline
        except Damaged:
            continue
        shares = found.frame_bytes / (found.frame_sizes / PAGE_BYTES)
        costs[mine] = shares[rows[mine] // found.frame_pages]
    return costs
