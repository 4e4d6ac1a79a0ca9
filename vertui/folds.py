"""What of the tree is drawn as one line: long runs of plain commits, and wide fans of siblings.

The rows of a tree are made one by one when they are looked at, so ten thousand that are unfolded cost what some fifty
in view cost.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from typing import overload

from msgspec import Struct

from core.model import Branch, BranchState
from vertui.lanes import GraphRow, LaneRow
from vertui.selection import Node, key_of
from vertui.strands import Strand, Strands
from vertui.text import counted, printable

WIDEST_FAN = 12  # siblings beside the line that goes on: more are not looked at one by one
NARROWEST_FAN = 2  # fewer are no shorter as one line


class FoldKind(StrEnum):
    """What is folded."""

    RUN = "run"
    FAN = "fan"


class Fold(Struct, frozen=True, gc=False):
    """A place where the tree folds: a run by its last commit, which stays while the run grows, a fan by its parent."""

    kind: FoldKind
    root: str


class FoldRow(GraphRow, frozen=True, gc=False):
    """One line in place of `nodes`, which are from the top down."""

    fold: Fold
    nodes: tuple[Node, ...]

    @property
    def key(self) -> str:
        """What names the row."""
        return f"{self.fold.kind} {self.fold.root}"

    @property
    def branches(self) -> list[Branch]:
        """The branches in it."""
        return [node for node in self.nodes if isinstance(node, Branch)]

    @property
    def text(self) -> str:
        """What is to be said of it, in words."""
        branches = self.branches
        commits = len(self.nodes) - len(branches)
        if not branches:
            return counted(commits, "commit")
        states = Counter(branch.state for branch in branches)
        running, best = states.pop(BranchState.RUNNING, 0), best_of(branches)
        parts = (
            f"{len(branches)} {'branch' if len(branches) == 1 else 'branches'}",
            f"{running} running" if running else "",
            f"best {best.score:.4g} {printable(best.name)}" if best else "",
            *(f"{count} {state}" for state, count in states.most_common()),
            counted(commits, "commit") if commits else "",
        )
        return " · ".join(filter(None, parts))


Row = LaneRow | FoldRow


def best_of(branches: list[Branch]) -> Branch | None:
    """The one with the best score, of several the first."""
    scored = [branch for branch in branches if branch.score is not None]
    return max(scored, key=lambda branch: branch.score or 0.0, default=None)


@dataclass
class Folds:
    """Which folds are open: those told so; else all or none as `every` says; else those that are short or narrow."""

    said: dict[Fold, bool] = field(default_factory=dict)
    every: bool | None = None

    def opens(self, fold: Fold, small: bool) -> bool:
        """Is it open? A small one is, where nobody said anything."""
        return self.said.get(fold, small if self.every is None else self.every)

    def say_all(self) -> str:
        """Open all, then fold all, then neither; says which."""
        self.said.clear()
        self.every = {None: True, True: False, False: None}[self.every]
        return {True: "everything is unfolded", False: "everything is folded", None: "long runs are folded"}[
            self.every
        ]


class Stretch(Struct, frozen=True, gc=False):
    """Rows that come one after the other in one lane, `first` the place of the first of them: a row for each of `keys`,
    or the one line that they are folded into. The last joins the lane of what it hangs on if it `joins`.
    """

    first: int
    depth: int
    joins: bool
    keys: Sequence[str]
    fold: Fold | None = None

    @property
    def end(self) -> int:
        """The place behind its last row."""
        return self.first + (1 if self.fold else len(self.keys))


class Rows(Sequence[Row]):
    """The rows of a tree from the top down, over the nodes by their keys."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._nodes = nodes
        self._stretches: list[Stretch] = []
        self._length = 0
        self._folded: dict[int, FoldRow] = {}  # by their places: one may hold thousands of nodes

    def put(self, depth: int, keys: Sequence[str], fold: Fold | None = None, *, joins: bool = False) -> None:
        """Add rows below all others."""
        if keys:
            self._stretches.append(Stretch(self._length, depth, joins, keys, fold))
            self._length += 1 if fold else len(keys)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, place: int) -> Row: ...

    @overload
    def __getitem__(self, place: slice) -> list[Row]: ...

    def __getitem__(self, place: int | slice) -> Row | list[Row]:
        if isinstance(place, slice):
            return [self[at] for at in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        one = self._stretches[bisect_right(self._stretches, place, key=lambda one: one.first) - 1]
        return self._row(one, place - one.first)

    def __iter__(self) -> Iterator[Row]:
        for one in self._stretches:
            for at in range(one.end - one.first):
                yield self._row(one, at)

    def find(self, keys: AbstractSet[str], fold: Fold | None = None) -> int | None:
        """The place of a fold, or else of the first row that is, or holds, one of these nodes."""
        if (
            fold
            and (found := next((one.first for one in self._stretches if one.fold == fold), None)) is not None
        ):
            return found
        for one in self._stretches:
            if not keys.isdisjoint(one.keys):
                at = 0 if one.fold else next(at for at, key in enumerate(one.keys) if key in keys)
                return one.first + at
        return None

    def branches(self) -> Iterator[tuple[int, Branch]]:
        """Those at the top of a stretch, as all are that hang in lanes, with how many lanes are left of them."""
        for one in self._stretches:
            node = self._nodes[one.keys[0]]
            if isinstance(node, Branch) and one.fold is None:
                yield one.depth, node

    def _row(self, one: Stretch, at: int) -> Row:
        joins = one.joins and one.first + at == one.end - 1
        if not one.fold:
            return LaneRow(one.depth, joins, self._nodes[one.keys[at]])
        if (row := self._folded.get(one.first)) is None:
            nodes = tuple(map(self._nodes.__getitem__, one.keys))
            row = self._folded[one.first] = FoldRow(one.depth, joins, one.fold, nodes)
        return row


def lay_out(strands: Strands, folds: Folds) -> Rows:
    """The rows, from the top down."""

    def folded(strand: Strand) -> bool:
        fold = fan(strand)
        return fold is not None and not folds.opens(fold, len(strand.above) - 1 <= WIDEST_FAN)

    rows = Rows(strands.nodes)
    for place in strands.placed(folded):
        strand, depth = place.strand, place.depth
        if place.fan:
            keys = [key_of(node) for node in strands.held(strand.above[1:])]
            rows.put(depth, keys, Fold(FoldKind.FAN, strand.keys[0]), joins=True)
            continue
        at = 0
        for begin, end in strand.runs:
            fold = run(strand, end)
            if not folds.opens(fold, False):
                rows.put(depth, strand.keys[at:begin])
                rows.put(depth, strand.keys[begin:end], fold, joins=place.joins and end == len(strand.keys))
                at = end
        rows.put(depth, strand.keys[at:], joins=place.joins)
    return rows


def fan(strand: Strand) -> Fold | None:
    """The fold of what hangs on a strand, beside the line that goes on."""
    return Fold(FoldKind.FAN, strand.keys[0]) if len(strand.above) > NARROWEST_FAN else None


def run(strand: Strand, end: int) -> Fold:
    """The fold of the run that ends there."""
    return Fold(FoldKind.RUN, strand.keys[end - 1])


def fold_at(strands: Strands, key: str) -> Fold | None:
    """What can be folded at a node: the run it is in, the fan that hangs on it, or the one it hangs in."""
    if (strand := strands.holding(key)) is None:
        return None
    place = strand.keys.index(key)
    for begin, end in strand.runs:
        if begin <= place < end:
            return run(strand, end)
    below = strands.parent(strand)
    return (fan(strand) if place == 0 else None) or (fan(below) if below else None)
