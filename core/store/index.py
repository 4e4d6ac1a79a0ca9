"""The index: which id a hash has, and where an id's page lies. Immutable; a change makes a new one.

A run is sorted by id, and has a second order by hash. The index is one large run, mapped from its file, and a small one
in memory for the packs written since; lookups ask both. See `index_file` for the file.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.store.hashing import HASH_BYTES, ZERO_HASH, Hashes
from core.store.pack import Directory, Ids

NOWHERE = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
ROW_BITS = np.uint64(32)


def locations(pack: int, rows: NDArray[np.int64]) -> Ids:
    """The locations of these rows of a pack."""
    return (np.uint64(pack) << ROW_BITS) | rows.astype(np.uint64)


def split(where: Ids) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pack numbers and rows of locations."""
    return (where >> ROW_BITS).astype(np.int64), (where & np.uint64(0xFFFF_FFFF)).astype(np.int64)


@dataclass(frozen=True)
class Run:
    """ids (n,) ascending, locations (n,), hashes (n, 32); prefixes (n,) ascending and the row each belongs to."""

    ids: Ids
    locations: Ids
    hashes: Hashes
    prefixes: Ids
    order: NDArray[np.uint32]

    def find(self, hashes: Hashes) -> Ids:
        """The id of each hash, 0 for those not here."""
        ids = np.zeros(len(hashes), np.uint64)
        wanted = prefixes_of(hashes)
        at = np.searchsorted(self.prefixes, wanted)
        open_ = np.arange(len(hashes))
        while len(open_):
            open_ = open_[at[open_] < len(self.ids)]
            open_ = open_[self.prefixes[at[open_]] == wanted[open_]]
            rows = self.order[at[open_]]
            same = (self.hashes[rows] == hashes[open_]).all(axis=1)
            ids[open_[same]] = self.ids[rows[same]]
            open_ = open_[~same]
            at[open_] += 1
        return ids

    def rows(self, ids: Ids) -> NDArray[np.int64]:
        """The row of each id, -1 for those not here."""
        if not len(self.ids):
            return np.full(len(ids), -1)
        at = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[at] == ids, at, -1)

    def only(self, kept: NDArray[np.bool_]) -> "Run":
        """The run of these rows alone."""
        return make_run(self.ids[kept], self.locations[kept], self.hashes[kept])

    def without_packs(self, packs: Sequence[int]) -> "Run":
        """The run without what lies in these packs."""
        return self.only(~np.isin(split(self.locations)[0], packs))


def prefixes_of(hashes: Hashes) -> Ids:
    """The first eight bytes of each hash, as a number."""
    return np.ascontiguousarray(hashes[:, :8]).view("<u8").reshape(-1).astype(np.uint64)


def make_run(ids: Ids, where: Ids, hashes: Hashes) -> Run:
    """A run of these entries. Of an id's locations the one in the newest pack counts; of a hash's ids `find` gives the
    highest.
    """
    order = np.lexsort((where, ids))
    last = np.append(ids[order][1:] != ids[order][:-1], True) if len(ids) else np.empty(0, bool)
    order = order[last]
    ids, where, hashes = ids[order], where[order], hashes[order]
    prefixes = prefixes_of(hashes)
    by_hash = np.lexsort((~ids, prefixes))
    return Run(ids, where, hashes, prefixes[by_hash], by_hash.astype(np.uint32))


EMPTY = make_run(np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty((0, HASH_BYTES), np.uint8))


def run_of(packs: Mapping[int, Directory]) -> Run:
    """A run of everything these packs hold."""
    if not packs:
        return EMPTY
    ids = np.concatenate([directory.ids for directory in packs.values()])
    hashes = np.concatenate([directory.hashes for directory in packs.values()])
    where = [locations(number, np.arange(len(directory.ids))) for number, directory in packs.items()]
    return make_run(ids, np.concatenate(where), hashes)


def merged(runs: Iterable[Run]) -> Run:
    """One run of several."""
    parts = list(runs)
    return make_run(
        np.concatenate([run.ids for run in parts]),
        np.concatenate([run.locations for run in parts]),
        np.concatenate([run.hashes for run in parts]),
    )


@dataclass(frozen=True)
class Index:
    """What is where. `next_id` and `next_pack` have never been used; `packs` are all that are in use."""

    large: Run
    small: Run
    next_id: int
    next_pack: int
    packs: frozenset[int]

    def find(self, hashes: Hashes) -> Ids:
        """The id of each hash; 0 for the zero page and for those not in the store (see `is_zero`)."""
        ids = self.small.find(hashes)
        missing = np.flatnonzero(ids == 0)
        ids[missing] = self.large.find(hashes[missing])
        return ids

    def locate(self, ids: Ids) -> Ids:
        """Where each page lies, NOWHERE for ids that are not in the store."""
        result = np.full(len(ids), NOWHERE)
        for run in (self.large, self.small):
            rows = run.rows(ids)
            result[rows >= 0] = run.locations[rows[rows >= 0]]
        return result

    def hashes(self, ids: Ids) -> tuple[Hashes, NDArray[np.bool_]]:
        """The hash of each page, the zero page's included, and which are known."""
        result = np.empty((len(ids), HASH_BYTES), np.uint8)
        known = ids == 0
        result[known] = ZERO_HASH
        for run in (self.large, self.small):
            rows = run.rows(ids)
            result[rows >= 0] = run.hashes[rows[rows >= 0]]
            known |= rows >= 0
        return result, known

    @cached_property
    def everything(self) -> Run:
        """Both runs as one."""
        return merged((self.large, self.small)) if len(self.small.ids) else self.large


def is_zero(hashes: Hashes) -> NDArray[np.bool_]:
    """Which of these are the zero page's."""
    same: NDArray[np.bool_] = (hashes == ZERO_HASH).all(axis=1)
    return same
