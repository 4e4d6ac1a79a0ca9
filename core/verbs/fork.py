"""Fork: one running machine, or any commit, into many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from core.errors import UsageError, VertuiError
from core.model import BranchState, Forked
from core.naming import MemoryRoom, children_names
from core.ports import PortSpec, parse_port
from core.reach import MOST_DESTINATIONS, Reach, with_groups
from core.startable import forkable, starting
from core.verbs.base import Entry, Given, Kind, Verb
from core.verbs.egress import Mode
from core.verbs.fields import Ref, Short
from core.verbs.publish import MOST_PORTS, clash
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

if TYPE_CHECKING:
    from core.engine.context import Engine


MOST_CHILDREN, LONGEST_COMMAND, MOST_ENTRIES = 1000, 100_000, 10**15
LONGEST_S = 1_000_000  # eleven days: the guest's agent takes no longer limit
MODES: tuple[Mode, ...] = ("off", "open", "allow")


@dataclass(frozen=True)
class Fork(Verb[Forked]):
    """Fork a running branch, or any commit, into N running machines.

    All children come from one commit and go on where it stood: processes, memory, open files. The parent runs on.

    In a command {i} is the child's number and {name} its name; ${i} is the shell's own, and {{i}} stands for {i}. With
    --variant there is a child for each, unless --number says how many there are. Of JSONL each line is a text, or an
    object with a "command". Of a directory each *.patch or *.diff is one: `git apply` brings it into the child's home,
    or of @DIR:PLACE to that place.

    --egress is off, open, or a rule as `vertui egress` has them, in place of what the parent may reach. --publish gives
    each child a port of the host for a port of its own, beside those for the ports of its parent that are published.

    After --timeout a command is killed with all it started, and its exit status is 124. With --score exit a child's
    score is 1 if its command ends with 0, and otherwise 0. With printed it is the last number that the command prints,
    if that ends with 0. Any other --score is a command that runs in the child once its own has ended, with that one's
    exit status in STATUS and the end of what it printed as input: the last number it prints is the score. Where there
    is none, the child's note says why.
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
            "Commands, or @FILE of them, or @DIR of patches.",
            "CMD|@FILE|@DIR",
            ("--variant",),
            Kind.LINES,
            label="variants file",
        ),
        Meta(max_length=MOST_CHILDREN),
    ] = ()
    egress: Annotated[
        tuple[Annotated[str, Short], ...],
        Given("What each child may reach outside.", "off|open|RULE", default="as the parent"),
        Meta(max_length=MOST_DESTINATIONS),
    ] = ()
    publish: Annotated[
        tuple[Annotated[str, Short], ...],
        Given("Publish this port of each child.", "PORT"),
        Meta(max_length=MOST_PORTS),
    ] = ()
    timeout_s: Annotated[
        Annotated[float, Meta(gt=0, le=LONGEST_S)] | None,
        Given("End a child's command after so long.", "SECONDS", ("--timeout",), label="time limit"),
    ] = None
    score: Annotated[
        Annotated[str, Meta(max_length=LONGEST_COMMAND)] | None,
        Given("How each child is scored.", "exit|printed|CMD", label="score rule"),
    ] = None
    trust: Annotated[
        bool, Given("Let an imported commit start: QEMU loads its devices' state.", rare=True)
    ] = False
    eager: Annotated[
        bool, Given("Read all of a stored commit's memory before its children run.", rare=True)
    ] = False
    with_journal: Annotated[
        Annotated[int, Meta(ge=0, le=MOST_ENTRIES)] | None,
        Given(
            "Their journal up to this entry; what it has after the commit is tried.",
            "SEQ",
            default="up to the commit",
            rare=True,
        ),
    ] = None

    examples: ClassVar = (
        "vertui fork main -n 4",
        "vertui fork main~2 -n 2 --name try --exec 'make test > /tmp/log 2>&1'",
        "vertui fork main -n 4 --exec 'python3 train.py --seed {i}'",
        "vertui fork main --variant @tries.txt --timeout 600 --score printed",
        "vertui fork main --variant @patches:/srv/app --score 'cd /srv/app && ./test'",
        "vertui fork main -n 8 --exec ./train --egress @pip --publish 3000 --score ./measure",
    )
    screen: ClassVar = Entry(
        "f", "fork", "start N copies of a machine or commit", "forking", footer=True, suggests=(("n", "4"),)
    )

    starts: ClassVar = True
    counts: ClassVar = True

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
        if self.publish:
            who = f"{who}, {len(names) * len(self.publish)} ports published"
        if room is None:
            return who
        needs = room.each_bytes * len(names)
        fits = "" if needs <= room.free_bytes else f": {room.free_bytes // room.each_bytes} would fit"
        return f"{who}: {needs >> 20} MiB of memory, {room.free_bytes >> 20} free{fits}"

    @property
    def specs(self) -> tuple[PortSpec, ...]:
        """The ports to be published of each child; UsageError for what is none."""
        return tuple(map(parse_port, self.publish))

    @property
    def rules(self) -> tuple[Mode, tuple[str, ...]] | None:
        """What each may reach, as `egress` is told it; None for what the parent may."""
        if not self.egress:
            return None
        first, *others = self.egress
        mode = next((mode for mode in MODES if mode == first), None)
        return (mode, tuple(others)) if mode else ("allow", self.egress)

    @property
    def reach(self) -> Reach | None:
        """The same as a value, groups left in it. UsageError for what makes no sense."""
        return with_groups(*self.rules) if self.rules else None

    def refuse(self, shown: Shown) -> Refusal | None:
        return self._refuse_commands() or self._refuse_terms(shown) or self._refuse_source(shown)

    def _refuse_commands(self) -> Refusal | None:
        if self.variants and self.children != len(self.variants):
            return Refusal(
                f"{self.n} children and {len(self.variants)} variants: ask for as many, or leave the number out",
                UsageError,
            )
        if self.variants and self.command:
            return Refusal("give one command for all, or variants: not both", UsageError)
        if (self.timeout_s or self.score) and not (self.command or self.variants):
            what = "a time limit is" if self.timeout_s else "a score rule is"
            return Refusal(f"{what} for a command: give one, or variants", UsageError)
        return None

    def _refuse_terms(self, shown: Shown) -> Refusal | None:
        try:
            specs, _ = self.specs, self.reach
        except UsageError as error:
            return Refusal(str(error), UsageError)
        if self.children > 1 and (fixed := next((spec for spec in specs if spec.host_port), None)):
            return Refusal(
                f"port {fixed.host_port} of the host leads to one child alone: give {fixed.guest_port}, and each gets"
                " a port of its own",
                UsageError,
            )
        return clash(shown, "", specs)

    def _refuse_source(self, shown: Shown) -> Refusal | None:
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
        from core.engine import children, fork

        wanted = (self.ref, self.children, self.prefix, self.command, self.variants)
        terms = children.Terms(self.reach, self.specs, self.timeout_s, self.score or "")
        return await fork.fork(
            engine,
            request_id,
            *wanted,
            terms=terms,
            trust=self.trust,
            eager=self.eager,
            with_journal=self.with_journal,
        )
