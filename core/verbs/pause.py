"""Pause: a machine stands still, and keeps its memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from core.model import Branch, BranchState
from core.verbs.base import Entry, Verb
from core.verbs.fields import BranchName, not_in
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Pause(Verb[Branch]):
    """Quiesce and stop a branch's machine; it keeps its memory and can still be committed and forked."""

    branch: BranchName

    examples: ClassVar = ("vertui pause main",)
    each: ClassVar = "branch"
    screen: ClassVar = Entry("H", "pause", "quiesce and stop the selected machines", "pausing")

    def refuse(self, shown: Shown) -> Refusal | None:
        return not_in(shown, self.branch, BranchState.RUNNING)

    async def carry_out(self, engine: Engine, request_id: str) -> Branch:
        from core.engine import capture, inspect

        return await inspect.branch(engine, await capture.pause(engine, request_id, self.branch))
