"""The values every part of vertui speaks of: frozen, typed, and nothing but data.

These are also what the API sends: a struct here is the JSON object of the same shape. Times are Unix seconds,
sizes bytes, durations milliseconds where the name ends in `_ms`.
"""

import os
import re
from enum import StrEnum

from msgspec import Struct, field

from core.cgroups import USUAL_WEIGHT
from core.checkpoints import CheckpointPolicy, Trigger
from core.commands import Command as Command
from core.commands import LastCommand, Recorded, Scoring
from core.crash import CrashDisk
from core.errors import UsageError
from core.inward import PublishedPort
from core.progress import BuildProgress
from core.reach import NOWHERE, Attempt, Reach, Traffic

PAGE_BYTES = 4096
MOST_GIVEN_BYTES = 64 * 1024  # what the guest's agent takes in one request
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
HEX = re.compile(r"[0-9a-f]+")
LONGEST_MESSAGE = 10_000  # characters of a commit's message, or of a note
LONGEST_SECRET = 16 * 1024  # characters of a secret's value: some fit into a command's environment
SHORTEST_PREFIX = 6  # of a commit id in a REF: a shorter name of hex digits, such as b3, is none


def new_key() -> str:
    """A name no other has, for what may be said twice and is to be done once: 32 random hex digits."""
    return os.urandom(16).hex()


class BranchState(StrEnum):
    """Where a branch is in its life; every state comes with a reason."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    STOPPED = "stopped"
    LOST = "lost"
    FAILED = "failed"


class CommitState(StrEnum):
    """hot: pages in RAM. sealed: durable. gone: was hot when the host died."""

    HOT = "hot"
    SEALED = "sealed"
    GONE = "gone"


class Origin(StrEnum):
    """Where a commit comes from. foreign: imported, does not start. trusted: imported, and somebody said it may."""

    HERE = ""
    FOREIGN = "foreign"
    TRUSTED = "trusted"


class OperationState(StrEnum):
    """intent: begun, may have left things. done, failed (nothing changed), undone."""

    INTENT = "intent"
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"


MIN_MEMORY, MAX_MEMORY = 128 << 20, 64 << 30  # bytes
MAX_VCPUS = 16


class MachineSpec(Struct, frozen=True):
    """What hardware a guest sees. Part of every commit: state restores only onto the same spec."""

    machine: str
    cpu: str
    accelerator: str
    memory_bytes: int
    vcpus: int
    disk_bytes: int


class Image(Struct, frozen=True):
    """Kernel, initrd, root disk and spec, with the golden commit made once it had booted; `note` is advice. `egress` is
    what a branch that `up` starts of it may reach outside, None where the home says that.
    """

    id: str
    name: str
    spec: MachineSpec
    golden: str
    created: float
    size_bytes: int = 0
    note: str = ""
    egress: Reach | None = None


class Commit(Struct, frozen=True):
    """An immutable snapshot of a machine. A `checkpoint` was made by itself, by its branch's policy or as
    the branch was suspended."""

    id: str
    state_id: str
    parents: tuple[str, ...]
    branch: str
    image: str
    message: str
    created: float
    state: CommitState
    quiesced: bool
    changed_pages: int = 0
    stored_bytes: int = 0
    pause_ms: float = 0.0
    felt_pause_ms: float = 0.0
    journal_position: int = 0
    tags: tuple[str, ...] = ()
    origin: Origin = Origin.HERE
    checkpoint: Trigger = Trigger.NONE


class Branch(Struct, frozen=True):
    """A named line of work and what is known of its machine now. `links` are the names of those it may talk to,
    `refused` is what it tried to reach and may not, the newest of that. `cpu_percent` is of one core of the host's.
    After `idle_s` seconds in which nothing goes on it is suspended, never by itself where that is 0.
    `crash` is what its machine had written when it died last, NAME@crash. `scoring` is what will score it. `policy`
    says when it is committed by itself, None where the home does.
    """

    id: str
    name: str
    state: BranchState
    reason: str
    image: str
    head: str
    parent: str | None
    parent_branch: str | None
    created: float
    trunk: bool = False
    address: str | None = None
    namespace: str | None = None
    tap: str | None = None
    pid: int | None = None
    memory_bytes: int = 0
    changed_bytes: int = 0
    disk_bytes: int = 0
    uptime_s: float = 0.0
    cpu_percent: int = 0
    last: LastCommand | None = None
    score: float | None = None
    note: str = ""
    egress: Reach = NOWHERE
    weight: int = USUAL_WEIGHT
    idle_s: int = 0
    traffic: Traffic = Traffic()
    links: tuple[str, ...] = ()
    refused: Attempt | None = None
    crash: CrashDisk | None = None
    scoring: Scoring | None = None
    policy: CheckpointPolicy | None = None


class Outward(Struct, frozen=True):
    """What a branch may reach, what it did, and what it was refused, the latest first."""

    branch: str
    egress: Reach
    traffic: Traffic
    refused: tuple[Attempt, ...] = ()


class Waiting(Struct, frozen=True):
    """Ready for forks: started machines, spares (loaded as well), what they take, and how many are being made."""

    machines: int = 0
    spares: int = 0
    memory_bytes: int = 0
    making: int = 0


class Tree(Struct, frozen=True):
    """Everything `ls` shows. `trunk` is the trunk's branch name, None before the first `up`. What events of a sequence
    up to `sequence` tell is in it, and what was true at `moment` (`core.catalog_past`). `ports` are the published ones.
    """

    branches: tuple[Branch, ...]
    commits: tuple[Commit, ...]
    images: tuple[Image, ...]
    trunk: str | None
    waiting: Waiting = Waiting()
    sequence: int = 0
    ports: tuple[PublishedPort, ...] = ()
    moment: int = 0


class Changed(Struct, frozen=True):
    """What a tree shows differently: values as they are now, and the ids of what it shows no more. `images` and `ports`
    are all of them, None when none changed.
    """

    branches: tuple[Branch, ...] = ()
    commits: tuple[Commit, ...] = ()
    images: tuple[Image, ...] | None = None
    gone: tuple[str, ...] = ()
    trunk: str | None = None
    waiting: Waiting = Waiting()
    ports: tuple[PublishedPort, ...] | None = None
    moment: int = 0


class Child(Struct, frozen=True):
    """One child of a fork: running, or failed with the reason. `ports` are those that its parent had, on host ports of
    its own.
    """

    name: str
    ok: bool
    reason: str = ""
    address: str | None = None
    run_ms: float = 0.0
    fork_ms: float = 0.0
    ports: tuple[PublishedPort, ...] = ()


class Forked(Struct, frozen=True):
    """What a fork did. `pause_ms` is 0 when the source was a commit."""

    commit: Commit
    children: tuple[Child, ...]
    operation: int
    pause_ms: float = 0.0
    felt_pause_ms: float = 0.0


class Committed(Struct, frozen=True):
    """What a commit did; both times count from the request, the second is None while the commit is hot.

    Where nothing was `added`, the branch's state was that of its head, which `commit` is.
    """

    commit: Commit
    operation: int
    to_hot_ms: float
    to_sealed_ms: float | None
    added: bool = True


class HandedOver(Struct, frozen=True):
    """A branch's machine in a new process on `commit`: pages brought along, ms from `stop` to `cont`, ms felt."""

    branch: str
    commit: str
    operation: int
    pages: int
    rebase_ms: float
    felt_pause_ms: float


class PlanSection(Struct, frozen=True):
    """So many lines of a plan, one after the other, that are about one thing."""

    title: str
    lines: int


class Plan(Struct, frozen=True):
    """What a destructive verb would do, exactly: dry run, dialog and log print this same value.

    `branches`, `commits` and `images` are what it is done to; `files` what the old trunk changed and the branch to
    promote lacks. `lines` are for people, one thing each, `head` is all of it in one, `sections` say in their
    order what the lines are about; `frees_bytes` is what comes back once nothing can undo it. `until` is when the trash
    lets go of what it puts there: from then on nothing brings that back.
    """

    id: str
    verb: str
    branches: tuple[str, ...]
    commits: tuple[str, ...]
    frees_bytes: int
    undoable: bool
    lines: tuple[str, ...]
    files: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    head: str = ""
    sections: tuple[PlanSection, ...] = ()
    until: float | None = None


class Operation(Struct, frozen=True):
    """A line of the operation log: a state-changing verb, and whether `undo` can take it back.

    `figures` are the durations its answer told, such as rebase_ms.
    """

    id: int
    request_id: str
    verb: str
    summary: str
    state: OperationState
    undoable: bool
    created: float
    finished: float | None = None
    error: str = ""
    figures: dict[str, float] = field(default_factory=dict)


class TrashEntry(Struct, frozen=True):
    """Something pruned that can still be restored, until `expires`."""

    id: str
    kind: str
    name: str
    size_bytes: int
    deleted: float
    expires: float


class Event(Struct, frozen=True):
    """Something happened, or the tree changed.

    kind is one of branch, commit, trunk, image, operation, progress, trash; `subject` is a branch's or image's name
    (progress: the image's), a commit's or operation's id. A command's start and end are events of its branch.
    For progress, `fraction` is 0…1 of the whole, None where nobody knows how much that is, `text` names the step, and
    `progress` tells more. Events of kind tree have what is `changed`; what is not text for people comes by them alone.
    One of a branch that was refused something outside has it as `refused`. Sequences have no gaps: who misses one asks
    for the whole tree again.
    """

    sequence: int
    kind: str
    subject: str
    text: str
    time: float
    fraction: float | None = 0.0
    changed: Changed | None = None
    progress: BuildProgress | None = None
    refused: Attempt | None = None


class Process(Struct, frozen=True):
    """A process in a guest, as its /proc tells: not to be trusted, only shown."""

    pid: int
    ppid: int
    user: str
    rss_bytes: int
    command: str


class ExecRequest(Struct, frozen=True):
    """A command to run in a branch. A single word with blanks in it is a line for the guest's shell, as with ssh.

    `lossless` makes the command wait for its reader instead of dropping old output. A command hangs up with the client
    that started it unless it `outlives` that. An `inner` one is a verb's own doing: neither `ps` nor the operation log
    tells of it. By its `key` a request that is sent again is known. `secrets` are variables by name, each with the
    secret whose value it gets, or the placeholder of one that is for some sites alone. Its end scores the branch by the
    rule `score`, if there is one (see `Scoring`). `author` is who runs it, for the branch's journal, and `recorded` how
    much of its output that keeps.
    """

    branch: str
    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    cwd: str | None = None
    user: str | None = None
    tty: bool = False
    rows: int = 24
    columns: int = 80
    stdin: bool = False
    timeout_s: float | None = None
    lossless: bool = False
    outlives: bool = False
    inner: bool = False
    key: str = field(default_factory=new_key)
    secrets: dict[str, str] = field(default_factory=dict)
    score: str = ""
    author: str = ""
    recorded: Recorded = "some"

    def __post_init__(self) -> None:
        for variable in self.secrets:
            check_variable(variable)
        given = sum(len(os.fsencode(word)) for pair in self.env.items() for word in pair)
        given += sum(len(os.fsencode(word)) for word in self.argv)
        if given > MOST_GIVEN_BYTES:
            raise UsageError(
                f"a command and its variables may take {MOST_GIVEN_BYTES} bytes, these are {given}:"
                " what is longer goes in as input, as in `vertui exec -i BRANCH -- sh`"
            )


class Finding(Struct, frozen=True):
    """One line of `doctor`: what was looked at, whether it is good, and the fix when it is not."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


class Applied(Struct, frozen=True):
    """Paths, spelled: files that were changed, clashes that were decided, files whose flags or project ids are not as
    both sides made them.
    """

    changed: tuple[str, ...]
    clashes: tuple[str, ...]
    not_carried: tuple[str, ...]


class Imported(Struct, frozen=True):
    """What an import did; `added` is false when the commit was here already."""

    commit: Commit
    added: bool
    stored_bytes: int = 0


class Setting(Struct, frozen=True):
    """A setting of a home: its value now, what it is without one, and what it means."""

    key: str
    value: int
    default: int
    meaning: str


class DaemonStatus(Struct, frozen=True):
    """The daemon and what it holds. `listening` is the URL of its port, empty while it has none."""

    pid: int
    holder_pid: int
    version: str
    home: str
    machines: int
    started: float
    waiting: Waiting = Waiting()
    listening: str = ""


def check_name(name: str) -> str:
    """`name` itself when it is a legal branch, image or tag name; UsageError otherwise."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"'{name[:40]}' is no name: use a-z, 0-9 and -, start with a letter, at most 31 characters"
        )
    if len(name) >= SHORTEST_PREFIX and HEX.fullmatch(name):
        raise UsageError(f"'{name}' is all hex digits and would read as a commit id: choose another name")
    return name


def check_variable(name: str) -> str:
    """`name` itself when an environment variable may have it, and a secret; UsageError otherwise."""
    if not VARIABLE.fullmatch(name):
        raise UsageError(
            f"'{name[:40]}' is no variable's name: use letters, digits and _, no digit first, at most 63 characters"
        )
    return name
