"""Hand-over: a branch's machine moved into a new process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from core.model import BranchState, HandedOver
from core.verbs.base import Absent, Verb
from core.verbs.fields import BranchName, not_in
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class HandOver(Verb[HandedOver]):
    """Move a running branch into a new process on its head, so that it commits and forks as fast as a young one.

    Happens by itself after a commit of a branch that has changed much (`vertui config handover.bytes`). What runs in
    it, its connections and whoever follows its commands go on.
    """

    branch: BranchName

    examples: ClassVar = ("vertui commit main && vertui hand-over main",)
    each: ClassVar = "branch"
    screen: ClassVar = Absent("it happens by itself")

    def refuse(self, shown: Shown) -> Refusal | None:
        return not_in(shown, self.branch, BranchState.RUNNING)

    async def carry_out(self, engine: Engine, request_id: str) -> HandedOver:
        from core.engine import handover

        return await handover.hand_over(engine, request_id, self.branch)
