"""Fork: one running machine, or any commit, into many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from core.model import BranchState, Forked
from core.startable import forkable, starting
from core.verbs.base import Entry, Given, Kind, Verb
from core.verbs.fields import Ref, Short
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


MOST_CHILDREN, LONGEST_COMMAND = 1000, 100_000


@dataclass(frozen=True)
class Fork(Verb[Forked]):
    """Fork a running branch, or any commit, into N running machines.

    All children come from one commit and go on where it stood: processes, memory, open files. The parent runs on.
    """

    ref: Ref
    n: Annotated[
        int,
        Given("How many children.", flags=("-n", "--number"), label="children"),
        Meta(ge=1, le=MOST_CHILDREN),
    ] = 1
    prefix: Annotated[
        Annotated[str, Short] | None,
        Given(
            "PREFIX1 … PREFIXN are their names; PREFIX of one.",
            "PREFIX",
            ("--name",),
            Kind.NAME,
            default="b",
            label="name prefix",
        ),
    ] = None
    command: Annotated[
        Annotated[str, Meta(max_length=LONGEST_COMMAND)] | None,
        Given("Start this shell command in every child.", "CMD", ("--exec",)),
    ] = None
    trust: Annotated[
        bool, Given("Let an imported commit start: QEMU loads its devices' state.", rare=True)
    ] = False
    eager: Annotated[
        bool, Given("Read all of a stored commit's memory before its children run.", rare=True)
    ] = False

    examples: ClassVar = (
        "vertui fork main -n 4",
        "vertui fork main~2 -n 2 --name try --exec 'make test > /tmp/log 2>&1'",
    )
    screen: ClassVar = Entry(
        "f", "fork", "start N copies of a machine or commit", "forking", footer=True, suggests=(("n", "4"),)
    )

    def refuse(self, shown: Shown) -> Refusal | None:
        branch = shown.branch(self.ref)
        if branch and branch.state in (BranchState.RUNNING, BranchState.PAUSED):
            return None  # it is committed first
        if branch and (reason := starting(branch)):
            return Refusal(reason)
        commit = shown.commit(self.ref)
        if isinstance(commit, Refusal):
            return commit
        reason = forkable(commit, shown.commits, shown.heads, trust=self.trust)
        return Refusal(reason) if reason else None

    async def carry_out(self, engine: Engine, request_id: str) -> Forked:
        from core.engine import fork

        wanted = (self.ref, self.n, self.prefix, self.command)
        return await fork.fork(engine, request_id, *wanted, trust=self.trust, eager=self.eager)
