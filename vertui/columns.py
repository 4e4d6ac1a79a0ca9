"""The columns of the tree: which of them a row has room for, and the order of siblings by each."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from core.model import Branch, BranchState, CommitState
from vertui.selection import Node
from vertui.strands import Strand, Strands
from vertui.text import natural, short

T = TypeVar("T")
Value = float | int | list[str | int]

STATE_WIDTH = 10  # "unquiesced"; a branch's longest is "suspended"
BESIDES = (
    ("exit", 7, 14), ("score", 7, 16), ("cpu", 7, 16), ("changed", 7, 18), ("when", 10, 20), ("pages", 7, 20),
    ("bar", 5, 20), ("memory", 7, 28), ("address", 16, 28),
)  # fmt: skip
"""What comes beside name and state, the most wanted first: its cells, and those that it leaves to what a row says."""
DRAWN = ("exit", "score", "bar", "cpu", "pages", "address", "memory", "changed", "when")


class Column(StrEnum):
    """What siblings can be sorted by."""

    SCORE = "score"
    NAME = "name"
    STATE = "state"
    EXIT = "exit"
    CHANGED = "changed"
    MEMORY = "memory"
    CPU = "cpu"
    AGE = "age"


STATES = [state for kind in (BranchState, CommitState) for state in kind]
HIGHEST_FIRST = (Column.SCORE, Column.CHANGED, Column.MEMORY, Column.CPU)


def _outcome(node: Node) -> int | None:
    """0 for a command that ended well, 1 for one that runs, and by its exit status one that ended badly."""
    if not isinstance(node, Branch) or node.last is None:
        return None
    code = node.last.exit_code
    return 1 if code is None else code and 1 + abs(code)


VALUES: dict[Column, Callable[[Node], Value | None]] = {
    Column.SCORE: lambda node: node.score if isinstance(node, Branch) else None,
    Column.NAME: lambda node: natural(node.name if isinstance(node, Branch) else short(node.id)),
    Column.STATE: lambda node: STATES.index(node.state),
    Column.EXIT: _outcome,
    Column.CHANGED: lambda node: (
        (node.changed_bytes if isinstance(node, Branch) else node.stored_bytes) or None
    ),
    Column.MEMORY: lambda node: (node.memory_bytes or None) if isinstance(node, Branch) else None,
    Column.CPU: lambda node: node.cpu_percent if isinstance(node, Branch) and node.pid else None,
    Column.AGE: lambda node: -node.created,
}


@dataclass(frozen=True)
class Sorting:
    """How siblings are sorted: by no column, newest work first; by one, its best first unless `reverse`."""

    by: Column | None = None
    reverse: bool = False

    def next(self) -> "Sorting":
        """By the next column; after the last by none."""
        columns: list[Column | None] = [None, *Column]
        return Sorting(columns[(columns.index(self.by) + 1) % len(columns)])

    def turned(self) -> "Sorting":
        """The other way round."""
        return replace(self, reverse=not self.reverse)

    def __str__(self) -> str:
        """As it is said at the tree's border."""
        return f"by {self.by}{', backwards' if self.reverse else ''}" if self.by else ""

    def sort(self, items: Iterable[T], node_of: Callable[[T], Node]) -> list[T]:
        """Sort by the column; what has no value in it comes last either way."""
        assert self.by is not None
        value = VALUES[self.by]
        told: list[tuple[Value, T]] = []
        silent: list[T] = []
        for item in items:
            found = value(node_of(item))
            if found is None:
                silent.append(item)
            else:
                told.append((found, item))
        told.sort(key=lambda pair: pair[0], reverse=(self.by in HIGHEST_FIRST) != self.reverse)
        return [*(item for _, item in told), *silent]

    def arrange(self, strands: Strands) -> None:
        """Put siblings in this order."""

        def sort(siblings: Iterable[Strand]) -> list[Strand]:
            return self.sort(siblings, strands.of)

        strands.arrange(sort if self.by else None)


def fitting(width: int, name: int, empty: Collection[str] = ()) -> tuple[str, ...]:
    """The columns beside a name of so many cells and the state, in the order they are drawn. Nobody misses those that
    are `empty`.
    """
    room, found = width - STATE_WIDTH, []
    for column, cells, left in BESIDES:
        if column not in empty and room - cells >= max(name, left):
            found.append(column)
            room -= cells
    return tuple(column for column in DRAWN if column in found)
