"""Score: what people and programs think of a branch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from core.errors import UsageError
from core.model import Branch
from core.verbs.base import Entry, Given, Verb
from core.verbs.fields import BranchName, Message, no_branch
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Score(Verb[Branch]):
    """Give a branch a score, for you and for `ls`."""

    branch: BranchName
    score: Annotated[float, Given("Any number.", "NUMBER")]
    note: Annotated[str, Given("A word about it."), Message] = ""

    examples: ClassVar = ("vertui score b2 0.75 --note 'one test left'",)
    screen: ClassVar = Entry("S", "score", "give the selected branches a score", "scoring", several=True)

    def refuse(self, shown: Shown) -> Refusal | None:
        if not math.isfinite(self.score):
            return Refusal(f"{self.score} is no score: give a finite number", UsageError)
        return None if shown.branch(self.branch) else no_branch(shown, self.branch)

    async def carry_out(self, engine: Engine, request_id: str) -> Branch:
        from core.engine import inspect, marks

        row = await marks.score(engine, request_id, self.branch, self.score, self.note)
        return await inspect.branch(engine, row)
