"""Policy: when a branch is committed by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from core.checkpoints import HOURLY, KEEP_LAST, CheckpointPolicy, Policed
from core.errors import UsageError
from core.verbs.base import Entry, Given, Kind, Verb
from core.verbs.fields import BranchName, no_branch
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine

Seconds = Annotated[float, Meta(ge=0.1, le=1_000_000)]
Kept = Annotated[int, Meta(ge=0, le=10_000)]


@dataclass(frozen=True)
class Policy(Verb[Policed]):
    """Show when a branch is committed by itself and what that costs, or say when it is to be.

    What is said takes the place of what was said before; several may be. Such commits wait for verbs that are at work,
    and are sealed like all others. They are no operations: undo passes over them, a swarm's winner does not become
    stale by them, and a branch that nobody works in gets none. One that is not kept is removed for good; a branch's
    head, what a branch or several commits were made from, what has a tag and what undo may need are kept. Children of a
    fork inherit the policy. --every counts from the first command after a commit; what a guest does by itself is
    noticed from a minute after. --idle also waits until nothing is connected with it and its processors do little.
    --waiting is for `vertui-note --waiting` inside, and `journal append --kind wait`.

    Where nobody has said anything it is what `vertui config` says: when idle for 30 s, and every 10 min of change.
    """

    branch: BranchName
    exec: Annotated[bool, Given("After each command of `exec`.")] = False
    every: Annotated[
        Seconds | None, Given("Every so many seconds, while it changes.", "SECONDS", default="never")
    ] = None
    idle: Annotated[
        Seconds | None, Given("Once no command has run for so many seconds.", "SECONDS", default="never")
    ] = None
    bytes: Annotated[
        Annotated[int, Meta(ge=1 << 20, le=1 << 40)] | None,
        Given("When so much of its memory has changed.", "SIZE", kind=Kind.SIZE, default="never", rare=True),
    ] = None
    waiting: Annotated[bool, Given("When its agent says that it waits.")] = False
    manual: Annotated[bool, Given("Never by itself.")] = False
    default: Annotated[bool, Given("As the home says.", rare=True)] = False
    keep_last: Annotated[Kept, Given("Keep the newest N of them.", "N", rare=True)] = KEEP_LAST
    hourly: Annotated[Kept, Given("And one an hour of the last N hours.", "N", rare=True)] = HOURLY

    examples: ClassVar = (
        "vertui policy main",
        "vertui policy b1 --exec --keep-last 50 --hourly 0",
        "vertui policy b1 --idle 10 --every 300",
        "vertui policy b1 --manual",
    )
    screen: ClassVar = Entry(
        "Y", "policy", "say when a branch is committed by itself", "setting the policy of", several=True,
        suggests=(("every", "600"), ("idle", "30")),
    )  # fmt: skip

    def refuse(self, shown: Shown) -> Refusal | None:
        if shown.branch(self.branch) is None:
            return no_branch(shown, self.branch)
        if (not self._wanted.is_manual) + self.manual + self.default > 1:
            return Refusal("--manual, --default and when to commit: give one of these alone", UsageError)
        kept = (self.keep_last, self.hourly) != (KEEP_LAST, HOURLY)
        if kept and self._wanted.is_manual:
            return Refusal("--keep-last and --hourly go with when to commit, such as --idle 30", UsageError)
        return None

    async def carry_out(self, engine: Engine, request_id: str) -> Policed:
        from core.engine import policing

        if self.manual or self.default or not self._wanted.is_manual:
            wanted = None if self.default else self._wanted
            await policing.change(engine, request_id, self.branch, wanted)
        return policing.policed(engine, self.branch)

    @property
    def _wanted(self) -> CheckpointPolicy:
        """When it is to be committed; one that is manual when nothing of that was said."""
        return CheckpointPolicy(
            self.exec, self.every or 0.0, self.idle or 0.0, self.bytes or 0, self.waiting,
            self.keep_last, self.hourly,
        )  # fmt: skip
