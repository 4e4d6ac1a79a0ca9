"""Fork: one running machine, or any commit, into many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from core.errors import UsageError, VertuiError
from core.model import BranchState, Forked
from core.naming import MemoryRoom, children_names
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

    In a command {i} is the child's number and {name} its name; ${i} is the shell's own, and {{i}} stands for {i}. With
    --variant there is a child for each, unless --number says how many there are. Of JSONL each line is a text, or an
    object with a "command".
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
        Given(
            "Run this in every child; {i}, {name} are its own.",
            "CMD",
            ("--exec",),
        ),
    ] = None
    variants: Annotated[
        tuple[Annotated[str, Meta(max_length=LONGEST_COMMAND)], ...],
        Given(
            "A command a child, or @FILE: one a line, or JSONL.",
            "CMD|@FILE",
            ("--variant",),
            Kind.LINES,
            label="variants file",
        ),
        Meta(max_length=MOST_CHILDREN),
    ] = ()
    trust: Annotated[
        bool, Given("Let an imported commit start: QEMU loads its devices' state.", rare=True)
    ] = False
    eager: Annotated[
        bool, Given("Read all of a stored commit's memory before its children run.", rare=True)
    ] = False

    examples: ClassVar = (
        "vertui fork main -n 4",
        "vertui fork main~2 -n 2 --name try --exec 'make test > /tmp/log 2>&1'",
        "vertui fork main -n 4 --exec 'python3 train.py --seed {i}'",
        "vertui fork main --variant @tries.txt",
    )
    screen: ClassVar = Entry(
        "f", "fork", "start N copies of a machine or commit", "forking", footer=True, suggests=(("n", "4"),)
    )

    starts: ClassVar = True

    @property
    def children(self) -> int:
        """How many: one a variant, where nothing else is said."""
        return len(self.variants) if self.variants and self.n == 1 else self.n

    def names(self, shown: Shown) -> list[str]:
        """What they would be called; UsageError or Conflict where they cannot be."""
        branch = shown.branch(self.ref)
        named = branch.name if branch else None
        return children_names(named, self.children, self.prefix, shown.branches, shown.commits)

    def foretell(self, shown: Shown, room: MemoryRoom | None) -> str:
        try:
            names = self.names(shown)
        except VertuiError as error:
            return str(error)
        who = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"
        if room is None:
            return who
        needs = room.each_bytes * len(names)
        fits = "" if needs <= room.free_bytes else f": {room.free_bytes // room.each_bytes} would fit"
        return f"{who}: {needs >> 20} MiB of memory, {room.free_bytes >> 20} free{fits}"

    def refuse(self, shown: Shown) -> Refusal | None:
        if self.variants and self.children != len(self.variants):
            return Refusal(
                f"{self.n} children and {len(self.variants)} variants: ask for as many, or leave the number out",
                UsageError,
            )
        if self.variants and self.command:
            return Refusal("give one command for all, or variants: not both", UsageError)
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

        wanted = (self.ref, self.children, self.prefix, self.command, self.variants)
        return await fork.fork(engine, request_id, *wanted, trust=self.trust, eager=self.eager)
