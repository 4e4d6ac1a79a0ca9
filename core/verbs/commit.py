"""Commit: a machine as it is at one instant, kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from core.model import BranchState, Committed
from core.verbs.base import Entry, Given, Verb
from core.verbs.fields import BranchName, Message, not_in
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Commit(Verb[Committed]):
    """Commit a running or paused branch: memory, disk and devices as they are at one instant.

    Answers once it is sealed, that is durable. A hot commit can be forked already; it is lost only if the host dies.
    """

    branch: BranchName
    message: Annotated[str, Given("What this state is.", flags=("-m", "--message")), Message] = ""
    wait: Annotated[
        bool,
        Given("Answer when it is sealed, or else when it is hot.", flags=("--wait/--no-wait",), rare=True),
    ] = True

    examples: ClassVar = ("vertui commit main -m 'server warmed up'", "vertui commit main --no-wait")
    each: ClassVar = "branch"
    screen: ClassVar = Entry(
        "c", "commit", "commit the selected branches as they run", "committing", footer=True
    )

    def refuse(self, shown: Shown) -> Refusal | None:
        return not_in(shown, self.branch, BranchState.RUNNING, BranchState.PAUSED)

    async def carry_out(self, engine: Engine, request_id: str) -> Committed:
        from core.engine import capture

        return await capture.commit(engine, request_id, self.branch, self.message, wait=self.wait)
