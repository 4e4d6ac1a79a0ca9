"""Store compact: packs with little live data, written anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from core.verbs.base import Absent, Verb

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Compact(Verb[int]):
    """Rewrite packs that hold little live data. Nothing else changes."""

    examples: ClassVar = ("vertui store compact",)
    counts: ClassVar = True
    screen: ClassVar = Absent("the screen of the store does it")

    async def carry_out(self, engine: Engine, request_id: str) -> int:
        from core.engine import upkeep

        return await upkeep.compact(engine, request_id)
