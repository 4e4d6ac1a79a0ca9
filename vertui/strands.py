"""The tree taken apart into strands, so that what is drawn of ten thousand commits costs what is seen of them.

A strand is a line of nodes from top to bottom: each but the first has one child, the one above it. So all that forks,
forks at the top of a strand, and the strands are a tree of their own, some hundred where there are ten thousand
commits. A branch hangs on its head. Structure follows first parents. Pure: no clock, no terminal, no recursion.

Most strands of a tree are as they were in the tree before it, and are not taken apart again.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from core.model import Branch, Commit, Tree
from vertui.ancestry import Ancestry
from vertui.selection import Node, key_of
from vertui.text import natural

SHORTEST_RUN = 4  # plain commits in a row from which one line instead is worth a key press

Order = Callable[[Sequence["Strand"]], list["Strand"]]


@dataclass(slots=True, eq=False)
class Strand:
    """Nodes in a line, the first on top. `below` is the node that the last hangs on, empty for none; `above` are the
    strands that hang on the first, as they are drawn: the first of them goes on in the same lane.

    `runs` are the stretches of `keys`, from and to, that are plain commits: no tag, no branch, no fork point.
    """

    keys: list[str]
    below: str
    runs: list[tuple[int, int]]
    above: list["Strand"] = field(default_factory=list)
    size: int = 0  # nodes, with all above
    newest: float = 0.0  # when the newest of those was made
    trunks: bool = False  # does the trunk's line go through it?


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a strand is drawn: right of so many lanes, the last of which its last node may join.

    For a fan that is folded it is where the line goes that stands for it; its strand is the one it hangs on.
    """

    strand: Strand
    depth: int
    joins: bool
    fan: bool = False


class Strands:
    """The strands of a tree, each parent before its children, in the order `arrange` gave last. Of those of the tree
    `before` it is taken what did not change.
    """

    def __init__(self, tree: Tree, before: "Strands | None" = None) -> None:
        commits = Ancestry(tree.commits, before._commits if before else None)
        self._commits: Ancestry = commits
        self.nodes: dict[str, Node] = {**commits.nodes}
        self.parents, uses = commits.parents.copy(), commits.uses.copy()
        self._heads: dict[str, str] = {}  # of the branches by their keys
        for branch in tree.branches:
            key, head = key_of(branch), branch.head if branch.head in commits.nodes else ""
            self.nodes[key], self.parents[key], self._heads[key] = branch, head, head
            uses[head] = uses.get(head, 0) + 1
        self.branches = {branch.name: branch for branch in tree.branches}
        self._by_top = self._taken_apart(uses, before)
        self.roots = [strand for strand in self._by_top.values() if not strand.below]
        for strand in self._by_top.values():
            if strand.below:
                self._by_top[strand.below].above.append(strand)
        self._measure(tree.trunk)
        self.arrange()

    def _taken_apart(self, uses: Mapping[str, int], before: "Strands | None") -> dict[str, Strand]:
        """Every strand by the key of its first node, which is a tip, or forks."""
        found, others = self._kept(before)
        for top in others:
            if uses.get(top, 0) == 1:
                continue
            keys, below = [top], self.parents[top]
            while below and uses[below] == 1:
                keys.append(below)
                below = self.parents[below]
            found[top] = Strand(keys, below, self._runs(keys))
        return found

    def _kept(self, before: "Strands | None") -> tuple[dict[str, Strand], Iterable[str]]:
        """The strands that are as they were, for nothing in them or right below is linked otherwise; and all keys that
        are in no such strand.
        """
        touched = self._commits.touched
        if before is None or touched is None:
            return {}, self.parents
        touched = touched.union(*(before._heads.items() ^ self._heads.items())) - {""}
        kept, others = dict[str, Strand](), touched.copy()
        for strand in before._by_top.values():
            if strand.below not in touched and touched.isdisjoint(strand.keys):
                kept[strand.keys[0]] = Strand(strand.keys, strand.below, strand.runs)
            else:
                others.update(strand.keys)
        return kept, others & self.parents.keys()

    def _runs(self, keys: list[str]) -> list[tuple[int, int]]:
        """A tip, what forks and a branch's head are firm, as is what has a tag, two parents or none."""
        start = 2 if isinstance(self.nodes[keys[0]], Branch) else 1
        if len(keys) - start < SHORTEST_RUN:
            return []
        firm = self._commits.firm.intersection(keys)
        stops = [at for at, key in enumerate(keys) if at >= start and key in firm] if firm else []
        bounds = zip([start, *(at + 1 for at in stops)], [*stops, len(keys)], strict=True)
        return [(begin, end) for begin, end in bounds if end - begin >= SHORTEST_RUN]

    def _measure(self, trunk: str | None) -> None:
        for strand in reversed(list(self._parents_first())):
            strand.size = len(strand.keys) + sum(above.size for above in strand.above)
            top = self.nodes[strand.keys[0]].created
            strand.newest = max((above.newest for above in strand.above), default=top)
        branch = self.branches.get(trunk or "")
        line = self.holding(key_of(branch)) if branch else None
        while line is not None and not line.trunks:
            line.trunks = True
            line = self.parent(line)

    # -- looking ---------------------------------------------------------------------------------------------

    def parent(self, strand: Strand) -> Strand | None:
        """The strand that this one hangs on."""
        return self._by_top.get(strand.below)

    def siblings(self, strand: Strand) -> list[Strand]:
        """Those that hang where this one does, itself among them."""
        below = self.parent(strand)
        return below.above if below else self.roots

    def holding(self, key: str) -> Strand | None:
        """The strand that a node is part of."""
        if key in self._by_top:
            return self._by_top[key]
        return next((strand for strand in self._by_top.values() if key in strand.keys), None)

    def held(self, strands: Iterable[Strand]) -> list[Node]:
        """All nodes of these strands and of what is above them, from the top down."""
        order = list(self._parents_first(strands))
        return [self.nodes[key] for strand in reversed(order) for key in strand.keys]

    def all_nodes(self) -> list[Node]:
        """Every node, from the top down."""
        return self.held(self.roots)

    def chosen(self, keys: Container[str]) -> list[Node]:
        """The nodes with these keys, from the top down."""
        order = list(self._parents_first(self.roots))
        return [self.nodes[key] for strand in reversed(order) for key in strand.keys if key in keys]

    def of(self, strand: Strand) -> Node:
        """The node that speaks for a strand among its siblings: the branch whose line it is, or its last commit."""
        last = self.nodes[strand.keys[-1]]
        return last if isinstance(last, Branch) else self.branches.get(last.branch, last)

    def placed(self, folded: Callable[[Strand], bool] | None = None) -> list[Placed]:
        """The strands from the top down, each subtree whole before its neighbour. Where a fan is `folded`, only the
        line that goes on is shown, and a place for the others.
        """
        order, stack = [], [Placed(strand, 0, False) for strand in self.roots]
        while stack:
            order.append(place := stack.pop())
            strand, depth = place.strand, place.depth
            if not strand.above:
                continue
            stack.append(Placed(strand.above[0], depth, False))
            if folded and folded(strand):
                order.append(Placed(strand, depth + 1, True, fan=True))
            else:
                stack += [Placed(other, depth + 1, True) for other in strand.above[1:]]
        return order[::-1]

    def _parents_first(self, strands: Iterable[Strand] | None = None) -> Iterator[Strand]:
        """Each strand before those above it, and the last of these with all of its own before the others."""
        stack = list(self.roots if strands is None else strands)
        while stack:
            yield (strand := stack.pop())
            stack += strand.above

    # -- order -----------------------------------------------------------------------------------------------

    def arrange(self, order: Order | None = None) -> None:
        """Put siblings in order, newest work first unless told otherwise.

        The trunk's line goes on in its lane always. Without an order of its own that is the line of the branch that
        made the commit next, or else the largest: so n nodes need at most some log2(n) lanes.
        """
        for siblings in (self.roots, *(strand.above for strand in self._by_top.values())):
            if len(siblings) < 2:
                continue
            siblings[:] = order(siblings) if order else self._newest_first(siblings)
            first = max(siblings, key=lambda one: (one.trunks, not order and (self._goes_on(one), one.size)))
            siblings.remove(first)
            siblings.insert(0, first)

    def _newest_first(self, siblings: list[Strand]) -> list[Strand]:
        """Those of one fork, which have one prefix, stay together and are in the order of their numbers."""
        groups: dict[str, float] = {}
        last = {id(one): self.nodes[one.keys[-1]] for one in siblings}
        for one in siblings:
            if isinstance(node := last[id(one)], Branch):
                groups[_prefix(node)] = max(one.newest, groups.get(_prefix(node), one.newest))

        def place(one: Strand) -> tuple[object, ...]:
            node = last[id(one)]
            if isinstance(node, Branch):
                return (-groups[_prefix(node)], 1, natural(node.name))
            return (-one.newest, 0, node.id)

        return sorted(siblings, key=place)

    def _goes_on(self, strand: Strand) -> bool:
        """Is it the line of the branch that made the commit it hangs on?"""
        below, node = self.nodes.get(strand.below), self.nodes[strand.keys[-1]]
        name = node.name if isinstance(node, Branch) else node.branch
        return isinstance(below, Commit) and below.branch == name


def _prefix(branch: Branch) -> str:
    return branch.name.rstrip("0123456789")
