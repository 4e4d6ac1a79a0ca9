"""The tree as a listener keeps it: asked for once, then changed by events."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from msgspec.structs import replace

from core.looking_back import Then
from core.model import Branch, Changed, Event, Tree
from core.reach import Traffic


class TreeItem(Protocol):
    """What a tree has many of."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def created(self) -> float:
        """Seconds since 1970."""


T = TypeVar("T", bound=TreeItem)


class Mirror:
    """A tree, and the events that follow. `ask` gets the whole tree, when it is first needed and when one was missed.

    Events must be listened to before the tree is asked for, and all of them be given in order.
    """

    def __init__(self, ask: Callable[[], Tree]) -> None:
        self._ask = ask
        self._tree: Tree | None = None
        self._heard: int | None = None  # the newest sequence

    @property
    def tree(self) -> Tree:
        """As it is now, as far as is known."""
        if self._tree is None:
            self._tree = self._ask()
        return self._tree

    def forget(self) -> None:
        """Ask anew when it is needed next: the listener's connection is another one."""
        self._tree = self._heard = None

    def take(self, event: Event) -> bool:
        """Follow an event; whether the tree is another one now."""
        missed = self._heard is not None and event.sequence != self._heard + 1
        self._heard = event.sequence
        if missed:
            self._tree = None
            return True
        if event.changed is None or self._tree is None:
            return self._tree is None
        if event.sequence <= self._tree.sequence:
            return False
        self._tree = followed(self._tree, event.changed, event.sequence)
        return True


def followed(tree: Tree, changed: Changed, sequence: int) -> Tree:
    """A tree after a change."""
    gone = frozenset(changed.gone)
    branches = _with(tree.branches, changed.branches, gone)
    return Tree(
        tuple(_led(branches, changed.trunk)),
        _with(tree.commits, changed.commits, gone),
        tree.images if changed.images is None else changed.images,
        changed.trunk,
        changed.waiting,
        sequence,
        tree.ports if changed.ports is None else changed.ports,
        max(tree.moment, changed.moment),
    )


def as_it_was(held: Tree, then: Then) -> Tree:
    """The tree that is told as a change of the one that is held. Nothing is in it that is only known of machines while
    they run: that is of no time but its own.
    """
    was = followed(held, then.changed, 0)
    return replace(was, branches=tuple(map(_at_rest, was.branches)), moment=then.moment)


def _at_rest(branch: Branch) -> Branch:
    rest = replace(
        branch, address=None, namespace=None, tap=None, pid=None, memory_bytes=0, changed_bytes=0, disk_bytes=0,
        uptime_s=0.0, cpu_percent=0, last=None, traffic=Traffic(), refused=None,
    )  # fmt: skip
    return branch if rest == branch else rest


def _led(branches: Iterable[Branch], trunk: str | None) -> Iterable[Branch]:
    """The branches, of which the trunk is another one maybe."""
    for branch in branches:
        is_trunk = branch.name == trunk
        yield branch if branch.trunk == is_trunk else replace(branch, trunk=is_trunk)


def _with(rows: tuple[T, ...], new: tuple[T, ...], gone: frozenset[str]) -> tuple[T, ...]:
    """Rows with some changed, some added and some gone, oldest first."""
    if not new and not gone:
        return rows
    told = {row.id: row for row in new}
    kept = [told.pop(row.id, row) for row in rows if not gone or row.id not in gone]
    if added := sorted(told.values(), key=_created):
        stays = not kept or kept[-1].created <= added[0].created  # mostly: to sort ten thousand takes long
        kept = [*kept, *added] if stays else sorted([*kept, *added], key=_created)
    return tuple(kept)


def _created(row: TreeItem) -> float:
    return row.created
