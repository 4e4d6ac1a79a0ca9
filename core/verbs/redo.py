"""Redo: what was undone, done again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from core.model import Operation
from core.verbs.base import Entry, Verb

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Redo(Verb[Operation]):
    """Do again what was undone last."""

    examples: ClassVar = ("vertui redo",)
    counts: ClassVar = True
    screen: ClassVar = Entry("U", "redo", "do what was undone last again; shows which", "redoing")

    async def carry_out(self, engine: Engine, request_id: str) -> Operation:
        from core.engine import undo

        return await undo.redo(engine, request_id)
