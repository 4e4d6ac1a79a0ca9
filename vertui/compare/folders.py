"""Paths that differ as a tree of folders, in one list from top to bottom: what a row shows, and what folding hides."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from vertui.compare.noise import Noise

MOST_OPEN = 200  # files in all: of more, folders begin folded
AT_ONCE = 1000  # rows that are let go of
OPEN_FILES = 12  # but for those that hold no more than these


class HasPath(Protocol):
    """What the leaves of a tree are made of."""

    @property
    def path(self) -> str:
        """Absolute, as `core.names` spells it."""


T = TypeVar("T", bound=HasPath)


class Totals(Struct, frozen=True, gc=False):
    """What is at or below a row: files, lines added and removed where they are known, and bytes that it grew by."""

    files: int = 0
    added: int = 0
    removed: int = 0
    grown: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.files + other.files, self.added + other.added, self.removed + other.removed, self.grown + other.grown
        )  # fmt: skip


class Node(Struct, Generic[T], eq=False, gc=False):
    """A file or a folder. `place` is its index in the whole tree, `end` that after the last of what is below it, and
    `above` that of the row it is below, -1 for the first.
    """

    name: str
    path: str
    depth: int
    place: int
    item: T | None
    noise: bool = False
    above: int = -1
    end: int = 0
    folded: bool = False
    totals: Totals = Totals()

    @property
    def is_folder(self) -> bool:
        """Is something below it?"""
        return self.end > self.place + 1

    @property
    def key(self) -> tuple[bool, str]:
        """What stays the same when the tree is made anew."""
        return self.noise, self.path

    @property
    def names(self) -> list[str]:
        """What rows are in the order of: all that is in a folder comes behind it."""
        return self.path.split("/")


ROOT, NOISE = "", "\0noise"  # paths of no file


class Folders(Generic[T]):
    """All rows: the root, what lies below it, and at the end the noise as a folder that begins folded."""

    def __init__(self, nodes: list[Node[T]], rules: Mapping[str, int]) -> None:
        self.nodes = nodes
        self.folders = [node for node in nodes if node.is_folder]
        self.noise = next((node for node in self.folders if node.path == NOISE), None)
        self.rules = rules  # how many files are noise by which glob

    def visible(self, top: int = 0, end: int | None = None) -> list[Node[T]]:
        """The rows that no folded folder above them hides, of the part from `top` to `end`."""
        place, end = top, len(self.nodes) if end is None else end
        rows: list[Node[T]] = []
        first = bisect_left(self.folders, top, key=lambda node: node.place)
        for folder in islice(self.folders, first, None):
            if folder.place >= end:
                break
            if folder.folded and folder.place >= place:
                rows += self.nodes[place : folder.place + 1]
                place = folder.end
        rows += self.nodes[place:end]
        return rows

    def below(self, node: Node[T]) -> list[Node[T]]:
        """The rows that appear when it is unfolded."""
        return self.visible(node.place + 1, node.end)

    def parent(self, node: Node[T]) -> Node[T] | None:
        """The folder it is in."""
        return self.nodes[node.above] if node.above >= 0 else None

    def fold_all(self, folded: bool) -> None:
        """Fold every folder below the root, or none; the noise stays as it is."""
        for node in self.folders[1:]:
            if node.path != NOISE:
                node.folded = folded

    def unfold_noise(self) -> None:
        """Show it."""
        if self.noise is not None:
            self.noise.folded = False

    def forget(self) -> None:
        """Let go of the rows, some at a time: all of them at once would hold up every other thread."""
        while self.nodes:
            del self.nodes[-AT_ONCE:]

    def files(self, node: Node[T]) -> Iterator[Node[T]]:
        """The files at or below a row, in order."""
        return (one for one in self.nodes[node.place : node.end] if one.item is not None)

    def find(self, path: str) -> Node[T] | None:
        """The row of a file."""
        found = (self.find_row(path, noise=noise) for noise in (False, True))
        return next((node for node in found if node is not None and node.item is not None), None)

    def find_row(self, path: str, *, noise: bool) -> Node[T] | None:
        """The row of a file or a folder, in the noise or out of it."""
        if path in (ROOT, NOISE):
            return self.nodes[0] if path == ROOT and self.nodes else self.noise
        begin, end = 1, len(self.nodes)
        if self.noise is not None:
            begin, end = (self.noise.place + 1, end) if noise else (begin, self.noise.place)
        elif noise:
            return None
        at = (
            bisect_left(self.nodes, path.split("/"), begin, end, key=lambda node: node.names)
            if begin < end
            else end
        )
        return self.nodes[at] if at < end and self.nodes[at].path == path else None

    def hiding(self, node: Node[T]) -> Iterator[Node[T]]:
        """The folded folders that it is in."""
        above = self.parent(node)
        while above is not None:
            if above.folded:
                yield above
            above = self.parent(above)


def place_in(rows: Sequence[Node[T]], place: int) -> int:
    """The index of a place among visible rows, or of the row that hides it."""
    index = bisect_left(rows, place, key=lambda node: node.place)
    return index if index < len(rows) and rows[index].place == place else max(0, index - 1)


def grow(
    items: Iterable[T],
    noise: Noise,
    count: Callable[[T], Totals],
    wanted: Callable[[str], bool] = lambda path: True,
) -> Folders[T]:
    """The tree of the items whose path is wanted."""
    loud: list[T] = []
    quiet: list[T] = []
    rules: dict[str, int] = {}
    for item in items:
        if not wanted(item.path):
            continue
        if rule := noise.of(item.path):
            rules[rule.glob] = rules.get(rule.glob, 0) + 1
            quiet.append(item)
        else:
            loud.append(item)
    nodes: list[Node[T]] = [Node("", ROOT, 0, 0, None)]
    _Branch(loud).put(nodes, 1, False)
    if quiet:
        nodes.append(Node("", NOISE, 1, len(nodes), None, True))
        _Branch(quiet).put(nodes, 2, True)
    _measure(nodes, count)
    many = len(loud) > MOST_OPEN
    for node in nodes[1:]:
        node.folded = node.path == NOISE or (many and node.is_folder and node.totals.files > OPEN_FILES)
    return Folders(nodes, rules)


class _Branch(Generic[T]):
    """The items of one half of the tree, by the folder they are in."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items: dict[str, T] = {}
        self._below: dict[str, set[str]] = {"": set()}
        for item in items:
            self._items[item.path] = item
            self._put(item.path)

    def _put(self, path: str) -> None:
        while path:
            above = path.rpartition("/")[0]
            siblings = self._below.get(above)
            if siblings is not None:
                siblings.add(path)
                return
            self._below[above] = {path}
            path = above

    def put(self, nodes: list[Node[T]], depth: int, noise: bool) -> None:
        """Append all rows, folders before what is in them. A guest's paths may be deep: no function calls itself."""
        waiting = [(path, "", depth) for path in self._sorted("")]
        while waiting:
            path, above, depth = waiting.pop()
            path = self._end_of_chain(path)
            nodes.append(Node(path[len(above) + 1 :], path, depth, len(nodes), self._items.get(path), noise))
            waiting += ((child, path, depth + 1) for child in self._sorted(path))

    def _sorted(self, path: str) -> list[str]:
        """What is in a folder, the last first."""
        return sorted(self._below.get(path, ()), reverse=True)

    def _end_of_chain(self, path: str) -> str:
        """The folder that a chain of folders with nothing else in them leads to."""
        while path not in self._items and len(children := self._below[path]) == 1:
            only = next(iter(children))
            if only not in self._below:
                break
            path = only
        return path


def _measure(nodes: list[Node[T]], count: Callable[[T], Totals]) -> None:
    """What each row is below, where its own part ends, and what is in that: from the last to the first, each is added
    to the one above it.
    """
    above: list[Node[T]] = []
    for node in nodes:
        while above and above[-1].depth >= node.depth:
            _close(above, node.place)
        node.above = above[-1].place if above else -1
        above.append(node)
        if node.item is not None:
            node.totals = count(node.item)
    while above:
        _close(above, len(nodes))


def _close(above: list[Node[T]], end: int) -> None:
    node = above.pop()
    node.end = end
    if above:
        above[-1].totals += node.totals
