"""What every verb works with: one Engine a home."""

import asyncio
import logging
import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.catalog import Catalog
from core.catalog_values import BranchRow
from core.crash import CrashDisk
from core.diff.index import PathIndex
from core.engine.acting import Acting
from core.engine.admission import Admission
from core.engine.change import Draft
from core.engine.journals import Journals
from core.engine.live import Live
from core.engine.members import Members
from core.engine.reaping import Reaping
from core.engine.seams import HotCommits, OpenPorts, SecretSwapper, StalledBranches, WayOut, Weights
from core.engine.sleepers import Sleepers
from core.engine.unattended import Unattended
from core.errors import Conflict, NotFound
from core.graph import kept
from core.guest.client import AgentClient
from core.holder.protocol import Held
from core.home import Home
from core.image.recipe import Recipe
from core.machine.protocol import Hypervisor, Layer
from core.model import BranchState, Changed, Commit, CommitState, Event, Image
from core.network.protocol import BranchNetwork
from core.progress import BuildProgress
from core.reach import Attempt
from core.refs import CRASH, TRUNK, Ref, no_commit, no_crash, resolve, unknown
from core.room import Reserve
from core.startable import gone
from core.store.protocol import PageStore
from core.store.views.protocol import Views

EVENTS_WAITING = 1000  # a client that reads nothing for this many events is dropped
WAKING = 8  # guests that get their identities at once: a hundred would all answer too late
FAULT = "VERTUI_FAULT"  # names a file; crash tests write "STEP=kill" or "STEP=fail" into it, see Engine.reach

logger = logging.getLogger(__name__)


@dataclass
class Building:
    """The image build that is going on: the name, recipe and accelerator that were asked for, its task, and what tells
    how far it is.
    """

    wanted: tuple[str, Recipe, str | None]
    task: asyncio.Task[Image]
    tell: Callable[[], None] = lambda: None


@dataclass
class Engine:
    """Catalog, store, machines, networks and events of one home. Lives on the daemon's event loop."""

    home: Home
    catalog: Catalog
    store: PageStore
    held: Held
    hypervisor: Hypervisor
    network: BranchNetwork
    views: Views
    reserve: Reserve
    sealer: HotCommits = field(init=False)
    stalls: StalledBranches = field(init=False)
    ports: OpenPorts = field(init=False)
    outside: WayOut = field(init=False)
    weights: Weights = field(init=False)
    admission: Admission = field(init=False)
    journals: Journals = field(init=False)
    listening: str = ""  # the URL of the port by which others come, while there is one
    swapper: SecretSwapper = field(init=False)
    live: dict[str, Live] = field(default_factory=dict)
    plans: dict[str, Draft] = field(default_factory=dict)
    """By their ids: shown, and neither carried out nor refused."""
    indexes: dict[str, PathIndex] = field(default_factory=dict)
    """Of images, by their golden commits."""
    commit_indexes: dict[str, PathIndex] = field(default_factory=dict)
    """Of other commits, the one used last at the end."""
    building: Building | None = None
    booting: Live | None = None
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    started: float = field(default_factory=time.time)
    needed: Counter[str] = field(default_factory=Counter)
    members: Members = field(default_factory=Members)
    reaping: Reaping = field(default_factory=Reaping)
    acting: Acting = field(default_factory=Acting)
    sleepers: Sleepers = field(default_factory=Sleepers)
    unattended: Unattended = field(default_factory=Unattended)
    waking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(WAKING))
    requests: dict[str, str] = field(default_factory=dict)  # at work: what each request id asks for
    answers: dict[str, asyncio.Task[Any]] = field(default_factory=dict)  # what they will be answered
    worked: float = 0.0
    recovered: bool = False
    _sequence: int = 0
    _listeners: dict[asyncio.Queue[Event | None], bool] = field(
        default_factory=dict
    )  # is it the engine's own?

    def __post_init__(self) -> None:
        self.catalog.lent = self.reserve.lent
        self.admission = Admission(self.home.tokens)
        self.journals = Journals(self.home.journal, self.catalog)

    @contextmanager
    def needing(self, *ids: str) -> Iterator[None]:
        """Keep disk layers and commits from being collected while something is made of them that nothing names yet."""
        self.needed.update(ids)
        try:
            yield
        finally:
            self.needed -= Counter(ids)

    @contextmanager
    def working(self, request_id: str, asked: str) -> Iterator[None]:
        """A verb at work: the pool is not refilled meanwhile."""
        self.requests[request_id] = asked
        try:
            yield
        finally:
            self.requests.pop(request_id, None)
            self.worked = time.monotonic()
            self.members.changed.set()

    def quiet_s(self) -> float:
        """How long no verb has been at work; a build does not count, it takes minutes."""
        building = 1 if self.building is not None else 0
        return 0.0 if len(self.requests) > building else time.monotonic() - self.worked

    # -- events ----------------------------------------------------------------------------------------------

    @property
    def sequence(self) -> int:
        """The number of the newest event."""
        return self._sequence

    @property
    def listened(self) -> bool:
        """Is there anybody to tell, outside the engine?"""
        return not all(self._listeners.values())

    def publish(
        self,
        kind: str,
        subject: str,
        text: str,
        fraction: float | None = 0.0,
        changed: Changed | None = None,
        progress: BuildProgress | None = None,
        refused: Attempt | None = None,
    ) -> None:
        """Tell every listener; one that does not read is dropped, not waited for."""
        self._sequence += 1
        event = Event(self._sequence, kind, subject, text, time.time(), fraction, changed, progress, refused)
        for queue in list(self._listeners):
            if queue.qsize() >= EVENTS_WAITING:
                self.unsubscribe(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)

    def shows_other(self, branch: str) -> None:
        """Tell who shows a branch that something of it has changed that is no row."""
        if self.catalog.on_written:
            self.catalog.on_written({("branches", branch)})

    def subscribe(self, *, own: bool = False) -> asyncio.Queue[Event | None]:
        """A queue of events from now on; None ends it. For the engine's `own` tasks nothing is looked at that only a
        reader wants to know.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._listeners[queue] = own
        return queue

    def unsubscribe(self, queue: asyncio.Queue[Event | None]) -> None:
        """Stop feeding a queue; idempotent."""
        self._listeners.pop(queue, None)

    def end_events(self) -> None:
        """Let every listener's stream end, and every journal's: the daemon is about to."""
        for queue in self._listeners:
            queue.put_nowait(None)
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
        live = self.live.get(row.id)
        if live is None:
            raise no_machine(row)
        return live

    def running(self, branch: str) -> Live | None:
        """The machine of a branch, by its id, while it runs; None while it does not, or is no more."""
        with suppress(NotFound):
            row = self.catalog.branch(branch)
            if row.state is BranchState.RUNNING and row.deleted is None:
                return self.live.get(branch)
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
        machines = {
            base for live in self.live.values() for base in (live.base, live.machine.disk_base) if base
        }
        states = [hot.captured for hot in self.sealer.all()]
        hot = {base for state in states for base in (state.base, state.disk_base) if base}
        left = {row.crash.base for row in self.crashed() if row.crash}
        return machines | hot | left | {warm.base for warm in self.members} | self.needed.keys()

    def damage(self, commits: Iterable[str]) -> str | None:
        """The damage in these commits that a machine ran into, in words; None when there is none."""
        return next((str(damaged) for commit in commits if (damaged := self.views.damage(commit))), None)

    def collect_layers(self) -> int:
        """Remove disk layers that nothing needs; bytes freed. None goes before recovery has found every machine."""
        return self.store.collect(self.layers_needed()) if self.recovered else 0

    def layers_needed(self) -> frozenset[str]:
        """The disk layers that machines, hot commits, crash disks and verbs at work have."""
        machines = [live.machine for live in self.live.values()] + [warm.machine for warm in self.members]
        layers = [layer for machine in machines for layer in machine.layers]
        hot = [layer for commit in self.sealer.all() for layer in commit.captured.layers]
        left = [layer for row in self.crashed() if row.crash for layer in row.crash.layers]
        return frozenset((*layers, *hot, *left, *self.needed))

    def free_number(self) -> int:
        """A network number that nobody has: no branch, no machine, nothing being taken apart."""
        machines = {live.network.index for live in self.live.values()}
        return self.catalog.free_number(machines | self.members.numbers | self.reaping.numbers)

    def set_branch(self, branch: str, **changes: object) -> BranchRow:
        """Change a branch's row and tell who shows it."""
        row = self.catalog.change_branch(branch, **changes)
        self.publish(
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
