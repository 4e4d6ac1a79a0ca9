"""The commit graph as rows of text, newest at the top, as `git log --graph` draws it: one row a node.

    ● main     running         a branch hangs on its head
    ├─● b1     running
    │ ● b2     running
    ├─○ 9c01…  ran the tests   a commit of b2, forked from the same commit
    ○ 3f2a…    fork of main
    ○ 77d0…    golden

Each subtree is drawn whole before its neighbour, so the lanes open at any row are a stack: lines never cross. The
line that goes on is on top, then newer work above older (`vertui.strands`). Pure functions: no clock, no terminal.
"""

from enum import StrEnum

from msgspec import Struct

from core.model import Branch, BranchState, Commit, CommitState, Origin, Tree
from vertui.strands import Placed, Strands
from vertui.text import number, printable, short


class NodeKind(StrEnum):
    """What a row stands for."""

    COMMIT = "commit"
    BRANCH = "branch"


class Mark(Struct, frozen=True):
    """How a state looks: a glyph and the name of a terminal colour, so that neither is needed alone."""

    glyph: str
    colour: str


BRANCH_MARKS = {
    BranchState.STARTING: Mark("◌", "cyan"),
    BranchState.RUNNING: Mark("●", "green"),
    BranchState.PAUSED: Mark("◑", "yellow"),
    BranchState.SUSPENDED: Mark("◔", "blue"),
    BranchState.STOPPED: Mark("■", "white"),
    BranchState.LOST: Mark("?", "magenta"),
    BranchState.FAILED: Mark("✗", "red"),
}
COMMIT_MARKS = {
    CommitState.HOT: Mark("◆", "yellow"),
    CommitState.SEALED: Mark("○", "cyan"),
    CommitState.GONE: Mark("✗", "red"),
}


class LanePiece(Struct, frozen=True, gc=False):
    """A piece of the graph: two characters that belong to one lane, so that a lane can have its colour."""

    text: str
    lane: int


class GraphRow(Struct, frozen=True, gc=False):  # ten thousand a drawing: the collector need not look at each
    """Where a row of the graph is: right of `depth` lanes, the last of which it may join."""

    depth: int
    joins: bool

    @property
    def lanes(self) -> tuple[LanePiece, ...]:
        """The lanes left of its mark."""
        return lanes(0, self.depth, self.joins)


class LaneRow(GraphRow, frozen=True, gc=False):
    """One node, with the lanes left of its mark."""

    item: Commit | Branch

    @property
    def kind(self) -> NodeKind:
        """What it stands for."""
        return NodeKind.COMMIT if isinstance(self.item, Commit) else NodeKind.BRANCH

    @property
    def id(self) -> str:
        """A commit's id, or a branch's name."""
        return self.item.id if isinstance(self.item, Commit) else self.item.name

    @property
    def mark(self) -> Mark:
        """The state as a mark."""
        item = self.item
        return COMMIT_MARKS[item.state] if isinstance(item, Commit) else BRANCH_MARKS[item.state]

    @property
    def text(self) -> str:
        """What is to be said of it, in words."""
        return text_of(self.item)

    @property
    def lane(self) -> int:
        """The lane the node itself is in."""
        return self.depth

    @property
    def graph(self) -> str:
        """Lanes and mark as plain text."""
        return "".join(segment.text for segment in self.lanes) + self.mark.glyph


def rows(tree: Tree) -> list[LaneRow]:
    """Every commit and branch of `tree`, children above their parents."""
    strands = Strands(tree)
    return [row for place in strands.placed() for row in drawn(strands, place)]


def drawn(strands: Strands, place: Placed) -> list[LaneRow]:
    """A strand's nodes; the last of them joins the lane of what it hangs on, if that is another one."""
    nodes = [strands.nodes[key] for key in place.strand.keys]
    found = [LaneRow(place.depth, False, node) for node in nodes[:-1]]
    return [*found, LaneRow(place.depth, place.joins, nodes[-1])]


def lanes(first: int, depth: int, joins: bool) -> tuple[LanePiece, ...]:
    """Lanes from the `first` on, left of a node that `depth` lanes pass, the last of which it may join."""
    return tuple(
        LanePiece("├─" if joins and lane == depth - 1 else "│ ", lane) for lane in range(first, depth)
    )


def text_of(node: Commit | Branch) -> str:
    """What is to be said of a node, in words."""
    return _commit_text(node) if isinstance(node, Commit) else _branch_text(node)


def _commit_text(commit: Commit) -> str:
    parts = [short(commit.id)]
    if commit.tags:
        parts.append(f"[{', '.join(commit.tags)}]")
    parts.append(commit.message)
    if len(commit.parents) > 1:
        parts.append(" ".join(f"+{short(parent)}" for parent in commit.parents[1:]))
    if commit.state is not CommitState.SEALED:
        parts.append(str(commit.state))
    if not commit.quiesced:
        parts.append("unquiesced")
    if commit.origin is Origin.FOREIGN:
        parts.append("foreign")
    return _joined(*parts)


def _branch_text(branch: Branch) -> str:
    trunk = "(trunk)" if branch.trunk else ""
    reason = "" if branch.state is BranchState.RUNNING else branch.reason
    score = f"score {number(branch.score)}" if branch.score is not None else ""
    return _joined(branch.name, trunk, str(branch.state), reason, branch.address or "", score)


def _joined(*parts: str) -> str:
    return "  ".join(printable(part) for part in parts if part)
