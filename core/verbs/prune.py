"""Prune: branches and commits into the trash, or for good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from core.model import Plan
from core.startable import starting
from core.verbs.base import Entry, Given, Kind, Settled
from core.verbs.fields import Short
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine

MOST_TARGETS = 10_000


@dataclass(frozen=True)
class Prune(Settled):
    """Remove branches and commits into the trash; `undo` brings them back as they were until the grace period ends.

    Shows the plan first, and asks. BRANCH@crash, what a machine had written when it died, goes for good.
    """

    targets: Annotated[
        tuple[Annotated[str, Short], ...],
        Given("What to remove.", "BRANCH|COMMIT", kind=Kind.REF),
        Meta(min_length=1, max_length=MOST_TARGETS),
    ]
    now: Annotated[bool, Given("Skip the trash and the last commit: nothing brings it back.")] = False

    examples: ClassVar = ("vertui prune b1 b3", "vertui prune b1 --dry-run")
    counts: ClassVar = True
    screen: ClassVar = Entry(
        "x", "prune", "branches, commits into the trash; shows the plan", "pruning", footer=True,
        variant=("now", "skip the trash, for good"),
    )  # fmt: skip

    def refuse(self, shown: Shown) -> Refusal | None:
        """Not the trunk while others stay, nor what a branch or an image that stays stands on."""
        branches = {branch.name: branch for branch in map(shown.branch, self.targets) if branch}
        for branch in branches.values():
            if reason := starting(branch):
                return Refusal(reason)
        if shown.trunk in branches and len(shown.branches) > len(branches):
            return Refusal(f"{shown.trunk} is the trunk: promote another branch before pruning it")
        heads = {branch.head: name for name, branch in shown.branches.items() if name not in branches}
        goldens = {image.golden: image.name for image in shown.images}
        for target in self.targets:
            left = shown.with_crash(target)
            if isinstance(left, Refusal):
                return left
            if left or shown.branch(target):
                continue
            commit = shown.commit(target)
            if isinstance(commit, Refusal):
                return commit
            if commit.id in heads:
                return Refusal(
                    f"commit {commit.id[:12]} is the head of {heads[commit.id]}: prune that branch instead"
                )
            if commit.id in goldens:
                image = goldens[commit.id]
                return Refusal(
                    f"commit {commit.id[:12]} is golden: `vertui image rm {image}` removes its image"
                )
        return None

    async def plan(self, engine: Engine) -> Plan:
        from core.engine import plans

        return plans.plan_prune(engine, self.targets, self.now)
