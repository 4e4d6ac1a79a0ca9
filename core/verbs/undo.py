"""Undo: the newest operation taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from core.model import Operation
from core.verbs.base import Entry, Verb

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Undo(Verb[Operation]):
    """Take the newest operation back that can be: fork, promote, prune, rename, score and others.

    One that needs what was removed for good, as by `prune --now`, is refused once; the next undo takes an older one.
    """

    examples: ClassVar = ("vertui undo",)
    counts: ClassVar = True
    screen: ClassVar = Entry(
        "u", "undo", "take the newest operation back; shows which", "undoing", footer=True
    )

    async def carry_out(self, engine: Engine, request_id: str) -> Operation:
        from core.engine import undo

        return await undo.undo(engine, request_id)
