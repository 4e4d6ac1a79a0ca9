"""Where a jump in the tree goes to: a pure function of the strands and the row under the cursor."""

from enum import StrEnum

from core.model import Branch
from vertui.folds import FoldKind, FoldRow, Row
from vertui.selection import Node, key_of
from vertui.strands import Strand, Strands


class Jump(StrEnum):
    """A direction to jump."""

    PARENT = "parent"
    CHILD = "child"
    NEXT = "next"
    PREVIOUS = "previous"
    BEST = "best"
    TRUNK = "trunk"


NOWHERE = {
    Jump.PARENT: "nothing is below this: it is where the tree begins",
    Jump.CHILD: "nothing is above this",
    Jump.NEXT: "there is no sibling after this one",
    Jump.PREVIOUS: "there is no sibling before this one",
    Jump.BEST: "no branch has a score",
    Jump.TRUNK: "there is no trunk yet",
}
"""Why there is nowhere to go."""


def target(strands: Strands, row: Row | None, jump: Jump) -> Node | None:
    """The node to go to, None where there is none."""
    if jump is Jump.TRUNK:
        return next((branch for branch in strands.branches.values() if branch.trunk), None)
    if jump is Jump.BEST:
        return _best(strands, row)
    if row is None:
        return None
    if isinstance(row, FoldRow):
        return _from_fold(strands, row, jump)
    key = key_of(row.item)
    strand = strands.holding(key)
    if strand is None:
        return None
    place = strand.keys.index(key)
    if jump is Jump.PARENT:
        return strands.nodes.get(strands.parents[key])
    if jump is Jump.CHILD:
        found = strand.keys[place - 1] if place else strand.above[0].keys[-1] if strand.above else ""
        return strands.nodes.get(found)
    return _sibling(strands, strand, 1 if jump is Jump.NEXT else -1, at_top=place == 0)


def _from_fold(strands: Strands, row: FoldRow, jump: Jump) -> Node | None:
    """What is below a fold, or in it."""
    if jump is Jump.CHILD:
        return row.nodes[0]
    if jump is Jump.PARENT:
        return strands.nodes.get(strands.parents[key_of(row.nodes[-1])])
    strand = strands.holding(row.fold.root)
    if strand is None or row.fold.kind is FoldKind.RUN or jump is Jump.NEXT:
        return None
    return strands.nodes[strand.above[0].keys[0]]


def _sibling(strands: Strands, strand: Strand, by: int, *, at_top: bool) -> Node | None:
    """The sibling of the line that a node is in: its tip from a tip, else where it begins."""
    siblings = strands.siblings(strand)
    place = siblings.index(strand) + by
    if not 0 <= place < len(siblings):
        return None
    found = siblings[place]
    if not at_top:
        return strands.nodes[found.keys[-1]]
    while found.above:
        found = found.above[0]
    return strands.nodes[found.keys[0]]


def _best(strands: Strands, row: Row | None) -> Node | None:
    """The branch with the best score; from a branch that has one, the next best, and after the last the best."""
    scored = [branch for branch in strands.branches.values() if branch.score is not None]
    scored.sort(key=lambda branch: -(branch.score or 0.0))
    here = (
        row.item.id
        if row is not None and not isinstance(row, FoldRow) and isinstance(row.item, Branch)
        else ""
    )
    place = next((place for place, branch in enumerate(scored) if branch.id == here), -1)
    return scored[(place + 1) % len(scored)] if scored else None
