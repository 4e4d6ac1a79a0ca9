"""Values that say how the tree was at an earlier time."""

from enum import StrEnum

from msgspec import Struct

from core.model import Changed, Operation


class Stride(StrEnum):
    """Where to look from a moment: at the operation that ended before it, or at the one behind it."""

    BACK = "back"
    ON = "on"


class Then(Struct, frozen=True):
    """The tree as it was when an operation had ended, told as a change of a tree that is held. Without an operation it
    is as it is now, and nothing is told.

    `moment` is when that was (`Tree.moment`), `steps` how many operations on is now, where each changed something.
    What a machine took, and whatever else is only known while it lasts, is told of none.
    """

    operation: Operation | None
    moment: int
    steps: int = 0
    changed: Changed = Changed()
