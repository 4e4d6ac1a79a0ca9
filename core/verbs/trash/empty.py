"""Trash empty: what was pruned, gone for good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from core.model import Plan
from core.verbs.base import Absent, Settled

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Empty(Settled):
    """Free what the trash holds. Nothing brings it back. Shows the plan first, and asks."""

    examples: ClassVar = ("vertui trash empty",)
    counts: ClassVar = True
    screen: ClassVar = Absent("on the trash screen")

    async def plan(self, engine: Engine) -> Plan:
        from core.engine import plans

        return plans.plan_empty_trash(engine)
