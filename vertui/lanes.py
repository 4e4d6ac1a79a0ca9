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

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from core.model import Branch, BranchState, Commit, CommitState, Origin, Tree
from vertui.text import natural, number, printable, short


class NodeKind(StrEnum):
    """What a row stands for."""

    COMMIT = "commit"
    BRANCH = "branch"


@dataclass(frozen=True)
class Mark:
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


@dataclass(frozen=True)
class LanePiece:
    """A piece of the graph: two characters that belong to one lane, so that a lane can have its colour."""

    text: str
    lane: int


@dataclass(frozen=True)
class LaneRow:
    """One node. `lanes` lie left of the node's own `mark`; `id` is a commit id or a branch name."""

    lanes: tuple[LanePiece, ...]
    mark: Mark
    kind: NodeKind
    id: str
    text: str
    item: Commit | Branch

    @property
    def lane(self) -> int:
        """The lane the node itself is in."""
        return len(self.lanes)

    @property
    def graph(self) -> str:
        """Lanes and mark as plain text."""
        return "".join(segment.text for segment in self.lanes) + self.mark.glyph


@dataclass(frozen=True)
class _Node:
    key: str  # "c" + commit id or "b" + branch id: the two kinds never meet
    parent: str
    item: Commit | Branch

    @property
    def order(self) -> tuple[object, ...]:
        """Among siblings: commits, newest first, then branches by name."""
        if isinstance(self.item, Commit):
            return (0, -self.item.created, self.item.id)
        return (1, *natural(self.item.name))


def rows(tree: Tree) -> list[LaneRow]:
    """Every commit and branch of `tree`, children above their parents."""
    nodes = {node.key: node for node in _nodes(tree)}
    children = _children(nodes)
    open_lanes: list[str] = []
    order = _drawing_order(children, _trunk_line(tree, nodes)) if nodes else []
    return [_row(node, nodes, open_lanes) for node in order]


def _nodes(tree: Tree) -> Iterable[_Node]:
    for commit in tree.commits:
        yield _Node(f"c{commit.id}", f"c{commit.parents[0]}" if commit.parents else "", commit)
    for branch in tree.branches:
        yield _Node(f"b{branch.id}", f"c{branch.head}", branch)


def _children(nodes: dict[str, _Node]) -> dict[str, list[_Node]]:
    """Children by parent key; those whose parent is not in the tree are roots, under the empty key."""
    children: dict[str, list[_Node]] = defaultdict(list)
    for node in nodes.values():
        children[node.parent if node.parent in nodes else ""].append(node)
    return children


def _trunk_line(tree: Tree, nodes: dict[str, _Node]) -> set[str]:
    """The keys from the trunk's branch down to its root."""
    key = next((f"b{branch.id}" for branch in tree.branches if branch.name == tree.trunk), "")
    line: set[str] = set()
    while key in nodes and key not in line:
        line.add(key)
        key = nodes[key].parent
    return line


def _drawing_order(children: dict[str, list[_Node]], trunk: set[str]) -> list[_Node]:
    """Post-order: the child that shares its parent's lane first, then its siblings, then the parent."""
    sizes = _sizes(children)
    for siblings in children.values():
        siblings.sort(key=lambda node: node.order)
        first = max(siblings, key=lambda node: (node.key in trunk, sizes[node.key]))
        siblings.remove(first)
        siblings.insert(0, first)
    return _parents_first(children)[::-1]


def _parents_first(children: dict[str, list[_Node]]) -> list[_Node]:
    """Every node before its children, and its last child's subtree before the others'."""
    order, stack = [], list(children[""])
    while stack:
        node = stack.pop()
        order.append(node)
        stack += children.get(node.key, ())
    return order


def _sizes(children: dict[str, list[_Node]]) -> dict[str, int]:
    """The number of nodes in each node's subtree."""
    sizes: dict[str, int] = defaultdict(int)
    for node in reversed(_parents_first(children)):
        sizes[node.key] += 1
        sizes[node.parent] += sizes[node.key]
    return sizes


def _row(node: _Node, nodes: dict[str, _Node], open_lanes: list[str]) -> LaneRow:
    """Draw a node and update the stack of lanes, each named by the parent it leads to."""
    if open_lanes and open_lanes[-1] == node.key:
        open_lanes.pop()
    lanes = [LanePiece("│ ", lane) for lane in range(len(open_lanes))]
    if open_lanes and open_lanes[-1] == node.parent:
        lanes[-1] = LanePiece("├─", lanes[-1].lane)
    elif node.parent in nodes:
        open_lanes.append(node.parent)
    item = node.item
    if isinstance(item, Commit):
        mark, text = COMMIT_MARKS[item.state], _commit_text(item)
        return LaneRow(tuple(lanes), mark, NodeKind.COMMIT, item.id, text, item)
    return LaneRow(
        tuple(lanes), BRANCH_MARKS[item.state], NodeKind.BRANCH, item.name, _branch_text(item), item
    )


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
