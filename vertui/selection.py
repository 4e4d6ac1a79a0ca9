"""What a verb of the UI acts on: the marked nodes of the tree, or the one under the cursor."""

from dataclasses import dataclass

from core.inward import PortProtocol, PublishedPort
from core.model import Branch, BranchState, Commit, Tree
from core.ports import leading_to
from vertui.text import short

Node = Branch | Commit
ALIVE = (BranchState.RUNNING, BranchState.PAUSED)
NOTHING = Tree((), (), (), None)


def key_of(node: Node) -> str:
    """What stays the same while a node changes: a commit's id, and of a branch what no commit has as its id."""
    return node.id if isinstance(node, Commit) else f"branch {node.id}"


def ref_of(node: Node) -> str:
    """The REF that names a node on a command line."""
    return node.name if isinstance(node, Branch) else short(node.id)


@dataclass(frozen=True)
class Selection:
    """What a verb acts on: the marked nodes, or the one under the cursor."""

    tree: Tree = NOTHING
    node: Node | None = None
    marked: tuple[Node, ...] = ()
    connected: bool = True  # to a daemon
    read_only: bool = False  # is it only to be looked at?
    building: bool = False  # an image
    now: Tree | None = None  # as it is, where `tree` is as it was

    @property
    def newest(self) -> Tree:
        """The tree as it is."""
        return self.now or self.tree

    @property
    def targets(self) -> tuple[Node, ...]:
        """The marked nodes, or else the current one."""
        return self.marked or ((self.node,) if self.node else ())

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The branches among the targets."""
        return tuple(node for node in self.targets if isinstance(node, Branch))

    @property
    def refs(self) -> tuple[str, ...]:
        """The REFs of the targets."""
        return tuple(ref_of(node) for node in self.targets)

    @property
    def pages(self) -> tuple[PublishedPort, ...]:
        """The published ports that a browser may open, of the branch that alone is meant."""
        if len(self.targets) != 1 or not self.branches:
            return ()
        found = leading_to(self.branches[0].name, self.tree.trunk, self.tree.ports)
        return tuple(port for port in found if port.protocol is PortProtocol.TCP)

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two REFs a diff compares: two marked ones, a marked and the current one, or parent and current. In the
        past a branch's head of then, and the branch.
        """
        if self.now is not None:
            both = self.then_and_now
            return (short(both[0]), both[1].name) if both else None
        if len(self.marked) == 2:
            return ref_of(self.marked[0]), ref_of(self.marked[1])
        if self.node is None or len(self.marked) > 2:
            return None
        if self.marked and key_of(self.marked[0]) != key_of(self.node):
            return ref_of(self.marked[0]), ref_of(self.node)
        parent = parent_of(self.node)
        return (short(parent), ref_of(self.node)) if parent else None

    @property
    def then_and_now(self) -> tuple[str, Branch] | None:
        """The head of then of the branch under the cursor, and the branch as it is, where both are still there."""
        if self.now is None or not isinstance(self.node, Branch):
            return None
        head, id = self.node.head, self.node.id
        branch = next((branch for branch in self.now.branches if branch.id == id), None)
        there = any(commit.id == head for commit in self.now.commits)
        return (head, branch) if branch and there else None


def parent_of(node: Node) -> str | None:
    """The commit a node came from."""
    if isinstance(node, Commit):
        return node.parents[0] if node.parents else None
    return node.parent or node.head
