"""Rename: another name for a branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from core.model import Branch
from core.verbs.base import Entry, Verb
from core.verbs.fields import BranchName, NewName, no_branch, taken
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Rename(Verb[Branch]):
    """Rename a branch. Its hostname stays: the guest is not touched."""

    branch: BranchName
    name: NewName

    examples: ClassVar = ("vertui rename b2 fast-parser",)
    screen: ClassVar = Entry("R", "rename", "rename the branch", "renaming")

    def refuse(self, shown: Shown) -> Refusal | None:
        return taken(shown, self.name) if shown.branch(self.branch) else no_branch(shown, self.branch)

    async def carry_out(self, engine: Engine, request_id: str) -> Branch:
        from core.engine import inspect, marks

        return await inspect.branch(engine, await marks.rename(engine, request_id, self.branch, self.name))
