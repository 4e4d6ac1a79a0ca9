"""The commit graph as rows of text, newest at the top, as `git log --graph` draws it: one row a node.

    ● main     running         a branch hangs on its head
    ├─● b1     running
    │ ● b2     running
    ├─○ 9c01…  ran the tests   a commit of b2, forked from the same commit
    ○ 3f2a…    fork of main
    ○ 77d0…    golden

Each subtree is drawn whole before its neighbour, the trunk's line first and then the largest, so the lanes open at
any row are a stack: lines never cross, and n nodes need at most 2 + log2(n) lanes. Structure follows first parents.
A pure function over `Tree`: no clock, no terminal, no recursion.
"""

from enum import StrEnum
from functools import cache

from msgspec import Struct

from core.model import Branch, BranchState, Commit, CommitState, Origin, Tree
from vertui.text import natural, number, printable, short


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


class LanePiece(Struct, frozen=True):
    """A piece of the graph: two characters that belong to one lane, so that a lane can have its colour."""

    text: str
    lane: int


class LaneRow(Struct, frozen=True):
    """One node, with the lanes left of its mark."""

    lanes: tuple[LanePiece, ...]
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
        return _commit_text(self.item) if isinstance(self.item, Commit) else _branch_text(self.item)

    @property
    def lane(self) -> int:
        """The lane the node itself is in."""
        return len(self.lanes)

    @property
    def graph(self) -> str:
        """Lanes and mark as plain text."""
        return "".join(segment.text for segment in self.lanes) + self.mark.glyph


def rows(tree: Tree) -> list[LaneRow]:
    """Every commit and branch of `tree`, children above their parents."""
    nodes: dict[str, Commit | Branch] = {commit.id: commit for commit in tree.commits}
    parents = {commit.id: commit.parents[0] if commit.parents else "" for commit in tree.commits}
    for branch in tree.branches:
        key = f"branch {branch.id}"  # no commit's id
        nodes[key], parents[key] = branch, branch.head
    children: dict[str, list[str]] = {}
    for key, parent in parents.items():
        parents[key] = parent = parent if parent in nodes else ""
        children.setdefault(parent, []).append(key)
    trunk = next((f"branch {branch.id}" for branch in tree.branches if branch.name == tree.trunk), "")
    _sort(children, nodes, parents, trunk)
    return _rows(_parents_first(children)[::-1], nodes, parents)


def _sort(
    children: dict[str, list[str]], nodes: dict[str, Commit | Branch], parents: dict[str, str], trunk: str
) -> None:
    """Put the child that shares its parent's lane first: that of the trunk, or else the largest."""
    line = set()
    while trunk and trunk not in line:
        line.add(trunk)
        trunk = parents[trunk]
    sizes = dict.fromkeys((*nodes, ""), 1)
    for key in reversed(_parents_first(children)):
        sizes[parents[key]] += sizes[key]
    for siblings in children.values():
        if len(siblings) > 1:
            siblings.sort(key=lambda key: _order(nodes[key]))
            first = max(siblings, key=lambda key: (key in line, sizes[key]))
            siblings.remove(first)
            siblings.insert(0, first)


def _order(item: Commit | Branch) -> tuple[object, ...]:
    """Among siblings: commits, newest first, then branches by name."""
    return (0, -item.created, item.id) if isinstance(item, Commit) else (1, *natural(item.name))


def _parents_first(children: dict[str, list[str]]) -> list[str]:
    """Every node before its children, and its last child's subtree before the others'."""
    order, stack = [], list(children.get("", ()))
    while stack:
        order.append(key := stack.pop())
        stack += children.get(key, ())
    return order


def _rows(order: list[str], nodes: dict[str, Commit | Branch], parents: dict[str, str]) -> list[LaneRow]:
    """Draw the nodes. The lanes open at a row are a stack, each named by the parent it leads to."""
    drawn, lanes = [], [""]  # the lowest, for what leads nowhere, is not drawn
    for key in order:
        if lanes[-1] == key:
            lanes.pop()
        depth, joins = len(lanes) - 1, lanes[-1] == parents[key]
        if parents[key] and not joins:
            lanes.append(parents[key])
        drawn.append(LaneRow(_lanes(depth, joins and depth > 0), nodes[key]))
    return drawn


@cache
def _lanes(depth: int, joins: bool) -> tuple[LanePiece, ...]:
    """What stands left of a node that `depth` lanes pass, the last of which it may join."""
    return tuple(LanePiece("├─" if joins and lane == depth - 1 else "│ ", lane) for lane in range(depth))


def _commit_text(commit: Commit) -> str:
    tags = f"[{', '.join(commit.tags)}]" if commit.tags else ""
    merged = " ".join(f"+{short(parent)}" for parent in commit.parents[1:])
    odd = "" if commit.state is CommitState.SEALED else str(commit.state)
    loose = "" if commit.quiesced else "unquiesced"
    origin = "foreign" if commit.origin is Origin.FOREIGN else ""
    return _joined(short(commit.id), tags, commit.message, merged, odd, loose, origin)


def _branch_text(branch: Branch) -> str:
    trunk = "(trunk)" if branch.trunk else ""
    reason = "" if branch.state is BranchState.RUNNING else branch.reason
    score = f"score {number(branch.score)}" if branch.score is not None else ""
    return _joined(branch.name, trunk, str(branch.state), reason, branch.address or "", score)


def _joined(*parts: str) -> str:
    return "  ".join(printable(part) for part in parts if part)
