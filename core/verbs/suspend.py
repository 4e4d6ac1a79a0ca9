"""Suspend: a branch on disk alone, until somebody needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from core.model import Branch, BranchState
from core.verbs.base import Entry, Given, Verb
from core.verbs.fields import BranchName, no_branch, not_in
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine

LONGEST_S = 30 * 24 * 3600


@dataclass(frozen=True)
class Suspend(Verb[Branch]):
    """Commit a running or paused branch and end its machine: it takes neither memory nor processor.

    Whatever needs the branch wakes it and is served, not refused: exec, shell, attach, cp, sync, ssh, and a connection
    to a published port or by the proxy. Its processes go on where they stood; connections with the outside do not
    outlive it. To look at it (ls, ps, diff, console) wakes nobody.

    --when-idle has it suspended by itself, each time when for so long nobody has followed a command in it, nothing was
    connected with it, and its processors did next to nothing. Children of a fork inherit that. What is suspended by
    itself is nothing to undo.
    """

    branch: BranchName
    when_idle: Annotated[
        Annotated[int, Meta(ge=0, le=LONGEST_S)] | None,
        Given(
            "Not now, but after so many seconds of nothing; 0: never by itself.",
            "SECS",
            default="now",
            rare=True,
        ),
    ] = None

    examples: ClassVar = (
        "vertui suspend b1 b2",
        "vertui suspend --all",
        "vertui suspend main --when-idle 300",
    )
    each: ClassVar = "branch"
    screen: ClassVar = Entry(
        "comma", "suspend", "keep the selected machines on disk alone until needed", "suspending"
    )

    def refuse(self, shown: Shown) -> Refusal | None:
        if self.when_idle is None:
            return not_in(shown, self.branch, BranchState.RUNNING, BranchState.PAUSED)
        return None if shown.branch(self.branch) else no_branch(shown, self.branch)

    async def carry_out(self, engine: Engine, request_id: str) -> Branch:
        from core.engine import inspect, marks, suspend

        if self.when_idle is None:
            row = await suspend.suspend(engine, request_id, self.branch)
        else:
            row = await marks.suspend_when_idle(engine, request_id, self.branch, self.when_idle)
        return await inspect.branch(engine, row)
