"""Commit: a machine as it is at one instant, kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from core.model import BranchState, Committed
from core.verbs.base import Entry, Given, Shown, Verb
from core.verbs.fields import BranchName, Message, not_in

if TYPE_CHECKING:
    from core.engine.context import Engine


@dataclass(frozen=True)
class Commit(Verb[Committed]):
    """Commit a running or paused branch: memory, disk and devices as they are at one instant.

    Answers once it is sealed, that is durable. A hot commit can be forked already; it is lost only if the host dies.
    """

    branch: BranchName
    message: Annotated[str, Given("What this state is.", flags=("--message", "-m")), Message] = ""
    no_wait: Annotated[bool, Given("Answer when it is hot; it is sealed behind that.")] = False

    examples: ClassVar = ("vertui commit main -m 'server warmed up'", "vertui commit main --no-wait")
    each: ClassVar = "branch"
    screen: ClassVar = Entry("c", "commit", "commit the selected branches as they run", footer=True)

    def refuse(self, shown: Shown) -> str | None:
        return not_in(shown, self.branch, BranchState.RUNNING, BranchState.PAUSED)

    async def carry_out(self, engine: Engine, request_id: str) -> Committed:
        from core.engine import capture

        wait = not self.no_wait
        return await capture.commit(engine, request_id, self.branch, self.message, wait=wait)
