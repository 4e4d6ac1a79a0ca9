"""Fork: one running machine, or any commit, into many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from core.model import BranchState, Commit, CommitState, Forked, Origin
from core.resume import nearest_kept
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
            "Children are PREFIX1 … PREFIXN; a single one is PREFIX itself.",
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
        if branch and branch.state is BranchState.STARTING:
            return Refusal(f"{branch.name} is starting: wait until it runs, and try again")
        commit = shown.commit(self.ref)
        return commit if isinstance(commit, Refusal) else self._not_forkable(shown, commit)

    def _not_forkable(self, shown: Shown, commit: Commit) -> Refusal | None:
        short = commit.id[:12]
        if commit.state is CommitState.GONE:
            left = nearest_kept(commit.id, shown.commits)
            way = (
                f"`vertui fork {left.id[:12]}` starts from its nearest ancestor that is not"
                if left
                else "no ancestor is left"
            )
            return Refusal(f"commit {short} is gone, it was in memory when the host died: {way}")
        if commit.origin is Origin.FOREIGN and not self.trust:
            return Refusal(f"{short} was imported: `vertui fork {short} --trust` starts it")
        return None if commit.quiesced else Refusal(f"{short} is unquiesced: restorable, not forkable")

    async def carry_out(self, engine: Engine, request_id: str) -> Forked:
        from core.engine import fork

        wanted = (self.ref, self.n, self.prefix, self.command)
        return await fork.fork(engine, request_id, *wanted, trust=self.trust, eager=self.eager)
