"""What of the tree is drawn as one line: long runs of plain commits, and wide fans of siblings."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import repeat

from msgspec import Struct
from msgspec.structs import replace

from core.model import Branch, BranchState
from vertui.lanes import GraphRow, LaneRow
from vertui.strands import Node, Placed, Strand, Strands
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


def lay_out(strands: Strands, folds: Folds) -> list[Row]:
    """The rows, from the top down."""

    def folded(strand: Strand) -> bool:
        fold = fan(strand)
        return fold is not None and not folds.opens(fold, len(strand.above) - 1 <= WIDEST_FAN)

    rows: list[Row] = []
    for place in strands.placed(folded):
        if place.fan:
            nodes = tuple(strands.held(place.strand.above[1:]))
            rows.append(FoldRow(place.depth, True, Fold(FoldKind.FAN, place.strand.keys[0]), nodes))
        else:
            rows += _drawn(strands, folds, place)
    return rows


def _drawn(strands: Strands, folds: Folds, place: Placed) -> list[Row]:
    """A strand's rows; the last of them joins the lane of what it hangs on."""
    rows: list[Row] = []
    nodes, keys, depth, at = strands.nodes, place.strand.keys, place.depth, 0
    for begin, end in place.strand.runs:
        fold = run(place.strand, end)
        if not folds.opens(fold, False):
            rows += _alone(depth, map(nodes.__getitem__, keys[at:begin]))
            rows.append(FoldRow(depth, False, fold, tuple(map(nodes.__getitem__, keys[begin:end]))))
            at = end
    rows += _alone(depth, map(nodes.__getitem__, keys[at:]))
    if place.joins:
        rows[-1] = replace(rows[-1], joins=True)
    return rows


def _alone(depth: int, nodes: Iterable[Node]) -> Iterable[LaneRow]:
    """A row each, that joins nothing. There may be ten thousand: no loop of Python's own."""
    return map(LaneRow, repeat(depth), repeat(False), nodes)


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
