"""Commit: a machine as it is at one instant, kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from core.model import BranchState, Committed
from core.verbs.base import Entry, Given, Kind, Verb
from core.verbs.fields import BranchName, Message, not_in
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


MOST_SCRUBBED, LONGEST_PATH = 100, 4096  # of files, and of a path's characters


@dataclass(frozen=True)
class Commit(Verb[Committed]):
    """Commit a running or paused branch: memory, disk and devices as they are at one instant.

    Answers once it is sealed, that is durable. A hot commit can be forked already; it is lost only if the host dies.

    --scrub overwrites files in the guest, on its disk and in its cache, removes them, and then commits. If one cannot
    be wiped, none is and there is no commit: one that a process or a mount holds open or maps, that has further names
    (hard links), that a link leads to, or that is on a filesystem which writes beside what it replaces. Not wiped are
    earlier commits, other copies of a file (what an editor replaced, what a program read and still has in memory) and
    its name. Undo takes the commit back, not the wiping.
    """

    branch: BranchName
    message: Annotated[str, Given("What this state is.", flags=("-m", "--message")), Message] = ""
    wait: Annotated[
        bool,
        Given("Answer when it is sealed, or else when it is hot.", flags=("--wait/--no-wait",), rare=True),
    ] = True
    scrub: Annotated[
        tuple[Annotated[str, Meta(max_length=LONGEST_PATH)], ...],
        Given(
            "Wipe and remove this file first; may be repeated.",
            "PATH",
            ("--scrub",),
            Kind.PATH,
            default="none",
            rare=True,
        ),
        Meta(max_length=MOST_SCRUBBED),
    ] = ()

    examples: ClassVar = (
        "vertui commit main -m 'server warmed up'",
        "vertui commit main --no-wait",
        "vertui commit main --scrub /root/.netrc --scrub /root/.npmrc",
    )
    each: ClassVar = "branch"
    screen: ClassVar = Entry(
        "c", "commit", "commit the selected branches as they run", "committing", footer=True
    )

    def refuse(self, shown: Shown) -> Refusal | None:
        branch = shown.branch(self.branch)
        if self.scrub and branch and branch.state is BranchState.PAUSED:
            return Refusal(
                f"{branch.name} is paused, and files are wiped by its guest: `vertui resume` first"
            )
        return not_in(shown, self.branch, BranchState.RUNNING, BranchState.PAUSED)

    async def carry_out(self, engine: Engine, request_id: str) -> Committed:
        from core.engine import capture

        asked = (self.branch, self.message)
        return await capture.commit(engine, request_id, *asked, wait=self.wait, scrub=self.scrub)
