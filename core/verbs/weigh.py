"""Weigh: a branch's share of what the host's processors can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from core.cgroups import LEAST_WEIGHT, MOST_WEIGHT
from core.model import Operation
from core.verbs.base import Entry, Given, Verb
from core.verbs.fields import BranchName, no_branch
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Weigh(Verb[Operation]):
    """Say how much a branch weighs against others where processors and disks are scarce; 100 is usual.

    One that weighs 200 gets twice what one of 100 gets. Children of a fork inherit it. By cgroup v2: a host without it,
    or one that gives you no group to divide, says so.
    """

    branch: BranchName
    weight: Annotated[int, Given("From 1 to 10000.", "WEIGHT"), Meta(ge=LEAST_WEIGHT, le=MOST_WEIGHT)]

    examples: ClassVar = ("vertui weigh b1 300", "vertui weigh b1 100")
    screen: ClassVar = Entry(
        "ampersand", "weigh", "say what share of scarce processors and disks a branch gets", "weighing", several=True,
        suggests=(("weight", "100"),),
    )  # fmt: skip

    def refuse(self, shown: Shown) -> Refusal | None:
        return None if shown.branch(self.branch) else no_branch(shown, self.branch)

    async def carry_out(self, engine: Engine, request_id: str) -> Operation:
        from core.engine import weights

        return await weights.weigh(engine, request_id, self.branch, self.weight)
