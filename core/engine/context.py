"""What every verb works with: one Engine a home."""

import logging
import os
import signal
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.catalog import Catalog
from core.catalog_values import BranchRow
from core.crash import CrashDisk
from core.engine.acting import Acting
from core.engine.admission import Admission
from core.engine.events import EventBus
from core.engine.indexes import PathIndexes
from core.engine.journals import Journals
from core.engine.live import Live
from core.engine.machines import Machines
from core.engine.seams import Tasks
from core.engine.unattended import Unattended
from core.engine.verbs_at_work import VerbsAtWork
from core.errors import Conflict, NotFound
from core.graph import kept
from core.guest.client import AgentClient
from core.holder.protocol import Held
from core.home import Home
from core.machine.protocol import Hypervisor, Layer
from core.model import BranchState, Commit, CommitState, Image
from core.network.protocol import BranchNetwork
from core.refs import CRASH, TRUNK, Ref, no_commit, no_crash, resolve, unknown
from core.room import Reserve
from core.startable import gone
from core.store.protocol import PageStore
from core.store.views.protocol import Views

FAULT = "VERTUI_FAULT"  # names a file; crash tests write "STEP=kill" or "STEP=fail" into it, see Engine.reach

logger = logging.getLogger(__name__)


@dataclass
class Engine:
    """Catalog, store, machines, networks and events of one home. Lives on the daemon's event loop.

    What one part alone knows is that part's; here is what says of all of them where a REF leads, what must stay, what
    is free. `tasks` is set once, by who makes them: they work with the engine.
    """

    home: Home
    catalog: Catalog
    store: PageStore
    held: Held
    hypervisor: Hypervisor
    network: BranchNetwork
    views: Views
    reserve: Reserve
    indexes: PathIndexes = field(init=False)
    tasks: Tasks = field(init=False)
    admission: Admission = field(init=False)
    journals: Journals = field(init=False)
    verbs: VerbsAtWork = field(init=False)
    machines: Machines = field(default_factory=Machines)
    events: EventBus = field(default_factory=EventBus)
    acting: Acting = field(default_factory=Acting)
    unattended: Unattended = field(default_factory=Unattended)
    _needed: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.catalog.lent = self.reserve.lent
        self.indexes = PathIndexes(self.store)
        self.admission = Admission(self.home.tokens)
        self.journals = Journals(self.home.journal, self.catalog)
        self.verbs = VerbsAtWork(self.machines.members.changed.set)

    @contextmanager
    def needing(self, *ids: str) -> Iterator[None]:
        """Keep disk layers and commits from being collected while something is made of them that nothing names yet."""
        self._needed.update(ids)
        try:
            yield
        finally:
            self._needed -= Counter(ids)

    # -- events ----------------------------------------------------------------------------------------------

    def shows_other(self, branch: str) -> None:
        """Tell who shows a branch that something of it has changed that is no row."""
        if self.catalog.on_written:
            self.catalog.on_written({("branches", branch)})

    def end_events(self) -> None:
        """Let every listener's stream end, and every journal's: the daemon is about to."""
        self.events.end()
        self.journals.end()

    def reach(self, step: str) -> None:
        """Name a step of a verb. VERTUI_FAULT lets a crash test end the daemon, or the verb, exactly here."""
        logger.debug("reached %s", step)
        fault = os.environ.get(FAULT)
        wanted = Path(fault).read_text() if fault and Path(fault).exists() else ""
        if wanted == f"{step}=kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if wanted == f"{step}=fail":
            raise Conflict(f"stopped at {step}, as {FAULT} asks")

    # -- finding things --------------------------------------------------------------------------------------

    def resolve(self, ref: str) -> Ref:
        """What a REF that names a commit means now; UsageError for one that names a crash disk."""
        found = self.resolve_disk(ref)
        if found.crash:
            raise no_commit(found.branch or "")
        return found

    def resolve_disk(self, ref: str) -> Ref:
        """What a REF means now. The commit of a crash disk is the one that it comes from."""
        branches = self.catalog.branches()
        heads = {row.name: row.head for row in branches}
        trunk = self.catalog.setting("trunk")
        name = next((row.name for row in branches if row.id == trunk), None)
        found = resolve(ref, self.catalog.commits(), heads, name)
        return replace(found, commit=self.crash_disk(found.branch or "").head) if found.crash else found

    def crash_disk(self, name: str) -> CrashDisk:
        """The disk that a branch's machine left when it died; NotFound when there is none."""
        row = self.branch(name)
        if row.crash is None:
            raise no_crash(row.name)
        return row.crash

    def crashed(self) -> list[BranchRow]:
        """The branches, also in the trash, that have a crash disk."""
        rows = [row for deleted in (False, True) for row in self.catalog.branches(deleted=deleted)]
        return [row for row in rows if row.crash]

    def branch(self, name: str) -> BranchRow:
        """The branch of that name; `@trunk` is the trunk's."""
        if name == TRUNK:
            name = self.resolve(name).branch or name
        row = self.catalog.named(name)
        if row is None:
            raise NotFound(unknown(name, (row.name for row in self.catalog.branches())))
        return row

    def machine(self, name: str) -> Live:
        """The live machine of a branch; Conflict says why there is none."""
        row = self.branch(name)
        live = self.machines.live.get(row.id)
        if live is None:
            raise no_machine(row)
        return live

    def running(self, branch: str) -> Live | None:
        """The machine of a branch, by its id, while it runs; None while it does not, or is no more."""
        with suppress(NotFound):
            row = self.catalog.branch(branch)
            if row.state is BranchState.RUNNING and row.deleted is None:
                return self.machines.live.get(branch)
        return None

    def awake(self, name: str) -> Live:
        """The machine of a branch whose guest runs; Conflict says what lets it run."""
        row, live = self.branch(name), self.machine(name)
        if row.state is BranchState.PAUSED:
            raise Conflict(f"branch {row.name} is paused: `vertui resume {row.name}` lets it run on")
        return live

    async def agent(self, name: str) -> AgentClient:
        """The line to a branch's guest; Conflict says what lets it run."""
        return await self.awake(name).agent()

    def image(self, name: str | None) -> Image:
        """The image of that name or id; without a name the newest."""
        images = self.catalog.images()
        if not images:
            raise NotFound("there is no image yet: run `vertui image build`")
        if name is None:
            return images[-1]
        matching = [image for image in images if name in (image.name, image.id)]
        if not matching:
            raise NotFound(f"no image '{name[:40]}': `vertui image ls` lists those there are")
        return matching[0]

    def commits(self) -> tuple[Commit, ...]:
        """The commits outside the trash, each with its nearest kept ancestors as its parents."""
        return tuple(kept(self.catalog.commits(), self.catalog.commits(deleted=True)))

    def check_there(self, commit: Commit) -> None:
        """Conflict for a commit whose content is gone."""
        if commit.state is CommitState.GONE:
            heads = {row.name: row.head for row in self.catalog.branches()}
            raise Conflict(gone(commit, self.commits(), heads))

    def layer(self, layer: str) -> Layer:
        """A disk layer by its id."""
        return Layer(layer, self.store.layer_path(layer).relative_to(self.home.root))

    def bases(self) -> set[str]:
        """The commits that machines, hot commits, crash disks and verbs at work lie on: they stay if pruned."""
        states = [hot.captured for hot in self.tasks.sealer.all()]
        hot = {base for state in states for base in (state.base, state.disk_base) if base}
        left = {row.crash.base for row in self.crashed() if row.crash}
        return self.machines.bases | hot | left | self._needed.keys()

    def damage(self, commits: Iterable[str]) -> str | None:
        """The damage in these commits that a machine ran into, in words; None when there is none."""
        return next((str(damaged) for commit in commits if (damaged := self.views.damage(commit))), None)

    def collect_layers(self) -> int:
        """Remove disk layers that nothing needs; bytes freed. None goes before recovery has found every machine."""
        return self.store.collect(self.layers_needed()) if self.machines.found else 0

    def layers_needed(self) -> frozenset[str]:
        """The disk layers that machines, hot commits, crash disks and verbs at work have."""
        layers = [layer for machine in self.machines for layer in machine.layers]
        hot = [layer for commit in self.tasks.sealer.all() for layer in commit.captured.layers]
        left = [layer for row in self.crashed() if row.crash for layer in row.crash.layers]
        return frozenset((*layers, *hot, *left, *self._needed))

    def free_number(self) -> int:
        """A network number that nobody has: no branch, no machine, nothing being taken apart."""
        return self.catalog.free_number(self.machines.numbers)

    def set_branch(self, branch: str, **changes: object) -> BranchRow:
        """Change a branch's row and tell who shows it."""
        row = self.catalog.change_branch(branch, **changes)
        self.events.publish(
            "branch", row.name, f"{row.name} is {row.state}" + (f": {row.reason}" if row.reason else "")
        )
        return row


def no_machine(row: BranchRow) -> Conflict:
    """Says why a branch has none, and the way out."""
    if row.state is BranchState.STARTING:
        return Conflict(f"branch {row.name} is starting: it will run by itself")
    reason = f" ({row.reason})" if row.reason else ""
    left = f"; {row.name}{CRASH} is what its disk held when it died" if row.crash else ""
    return Conflict(
        f"branch {row.name} is {row.state}{reason}: `vertui resume {row.name}` starts it from its head{left}"
    )


def new_id() -> str:
    """A fresh id for a machine, branch, layer or plan: 16 hex digits, never reused."""
    return uuid.uuid4().hex[:16]
