"""Promote: another branch becomes the trunk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from core.model import Plan
from core.verbs.base import Entry, Given, Settled
from core.verbs.fields import BranchName, no_branch
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Promote(Settled):
    """Make a branch the trunk. Its processes go on; the old trunk stays a branch until pruned.

    Shows what the old trunk did since the fork that this branch lacks, and asks.
    """

    branch: BranchName
    prune_losers: Annotated[bool, Given("Also prune the other branches of this branch's own fork.")] = False

    examples: ClassVar = ("vertui promote b2", "vertui promote b2 --prune-losers --yes")
    counts: ClassVar = True
    screen: ClassVar = Entry(
        "P", "promote", "make the branch the trunk; shows the plan", "promoting", footer=True,
        variant=("prune_losers", "prune the losers too"),
    )  # fmt: skip

    def refuse(self, shown: Shown) -> Refusal | None:
        branch = shown.branch(self.branch)
        if branch is None:
            return no_branch(shown, self.branch)
        return Refusal(f"{branch.name} is the trunk already") if branch.name == shown.trunk else None

    async def plan(self, engine: Engine) -> Plan:
        from core.engine import plans

        return await plans.plan_promote(engine, self.branch, self.prune_losers)
