"""Trash restore: what was pruned, back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from core.model import Operation
from core.verbs.base import Absent, Given, Kind, Verb
from core.verbs.fields import Short

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Restore(Verb[Operation]):
    """Bring a pruned branch or commit back; a branch that ran runs again."""

    entry: Annotated[str, Given("As `vertui trash ls` shows it.", "ID|NAME", kind=Kind.PRUNED), Short]

    examples: ClassVar = ("vertui trash restore b1",)
    each: ClassVar = "entry"
    screen: ClassVar = Absent("on the trash screen")

    async def carry_out(self, engine: Engine, request_id: str) -> Operation:
        from core.engine import trash

        return await trash.restore(engine, request_id, self.entry)
