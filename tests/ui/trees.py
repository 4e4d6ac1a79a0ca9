"""Hand-made trees, and a feed that shows them: data to look at without a daemon."""

import queue
import threading
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from core.daemon.streams import Exit, Output, Started, StreamMessage
from core.errors import VertuiError
from core.model import (
    Branch,
    BranchState,
    Changed,
    Command,
    Commit,
    CommitState,
    Event,
    ExecRequest,
    Image,
    MachineSpec,
    Process,
    Tree,
)
from vertui.feed import Offsets, Printing

Queue = queue.SimpleQueue[Event | VertuiError | None]
NOON = 1_750_000_000.0
SPEC = MachineSpec("pc-q35-7.2", "Nehalem-v1", "tcg", 512 << 20, 1, 2 << 30)


def commit(id: str, parent: str | None, message: str, branch: str = "main", **more: object) -> Commit:
    """A sealed commit; `id` is repeated to a commit id's length."""
    facts: dict[str, object] = {
        "created": NOON + int(id, 16) % 1000,
        "state": CommitState.SEALED,
        "quiesced": True,
        "stored_bytes": 4_400_000,
        "changed_pages": 5321,
        "pause_ms": 12.6,
        "felt_pause_ms": 24.0,
    }
    parents = (full(parent),) if parent else ()
    return Commit(full(id), full(id[::-1]), parents, branch, "img0", message, **(facts | more))  # type: ignore[arg-type]


def full(id: str) -> str:
    """A whole commit id from its first digits."""
    return (id * 32)[:64]


def branch(name: str, head: str, state: BranchState = BranchState.RUNNING, **more: object) -> Branch:
    """A branch; running ones have a machine."""
    facts: dict[str, object] = {"parent": full(head), "parent_branch": None, "created": NOON + 500}
    facts["reason"] = str(state)
    if state is BranchState.RUNNING:
        number = sum(name.encode()) % 200
        facts |= {
            "address": f"10.90.0.{number}",
            "namespace": f"vt-{name}",
            "tap": "tap0",
            "pid": 4000 + number,
            "memory_bytes": 45 << 20,
            "changed_bytes": 21 << 20,
            "disk_bytes": 1 << 20,
            "uptime_s": 754.0,
        }
    return Branch(f"id-{name}", name, state, image="img0", head=full(head), **(facts | more))  # type: ignore[arg-type]


IMAGE = Image("img0", "debian", SPEC, full("77d05a"), NOON, 310 << 20)
GOLDEN = commit("77d05a", None, "golden")
EMPTY = Tree((), (), (), None)
DEMO = Tree(
    branches=(
        branch("main", "3f2a11", trunk=True),
        branch("b1", "3f2a11", score=0.25, parent_branch="main", note="hangs in test_totals"),
        branch("b2", "9c01be", score=0.95, parent_branch="main", note="all green"),
        branch("b3", "3f2a11", BranchState.PAUSED, parent_branch="main", reason="paused by the user"),
        branch("b4", "3f2a11", BranchState.FAILED, parent_branch="main", reason="QEMU ended: out of memory"),
        branch("try1", "9c01be", BranchState.STARTING, parent_branch="b2", reason="loading"),
        branch("old", "77d05a", BranchState.SUSPENDED, parent_branch="main"),
    ),
    commits=(
        GOLDEN,
        commit("3f2a11", "77d05a", "fork of main", tags=("works",)),
        commit("9c01be", "3f2a11", "ran the tests", "b2", state=CommitState.HOT),
        commit("5ab3c0", "3f2a11", "half of it, \x1b[31mred\u202e", "b1", quiesced=False, created=NOON + 600),
    ),
    images=(IMAGE,),
    trunk="main",
)
COMMANDS = [
    Command(1, ("sh", "-c", "python3 service.py --port 8080"), 311, NOON),
    Command(2, ("pytest -q",), 340, NOON, exit_code=1),
]
PROCESSES = [
    Process(1, 0, "root", 2 << 20, "/sbin/init"),
    Process(311, 1, "root", 19 << 20, "python3 service.py --port 8080"),
    Process(320, 311, "root", 3 << 20, "python3 client.py \x1b]0;owned\x07"),
]
CONSOLE = b"[    0.412] EXT4-fs (vda): mounted\r\n\x1b[1;32mvertui\x1b[0m login: \x1b]0;evil\x07root\r\n# "


def many(count: int) -> Tree:
    """A long history: `count` commits in a line, a branch forked every tenth."""
    ids = [f"{number:06x}" for number in range(1, count + 1)]
    commits = [commit(id, ids[at - 1] if at else None, f"step {at}") for at, id in enumerate(ids)]
    branches = [branch(f"b{at}", id) for at, id in enumerate(ids) if at % 10 == 0]
    return Tree((*branches, branch("main", ids[-1], trunk=True)), tuple(commits), (IMAGE,), "main")


class Told:
    """What a command prints: these messages, then silence or whatever they end with. Keeps what is typed into it."""

    def __init__(self, messages: Iterable[StreamMessage], *, takes: bool = True) -> None:
        self._messages, self._takes = messages, takes
        self.typed, self.signals = list[bytes](), list[int]()

    def __iter__(self) -> Iterator[StreamMessage]:
        yield from self._messages

    def write(self, data: bytes) -> bool:
        """Taken, if it takes any."""
        if self._takes:
            self.typed.append(data)
        return self._takes

    def signal(self, number: int) -> None:
        """Remembered."""
        self.signals.append(number)

    def close(self) -> None:
        """Nothing to close."""


class HandMadeEvents:
    """Takes events off a queue; an error there is raised, None is the end."""

    def __init__(self, queue: "Queue") -> None:
        self._queue = queue

    def __iter__(self) -> Iterator[Event]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, VertuiError):
                raise item
            yield item

    def close(self) -> None:
        """End."""
        self._queue.put(None)


class HandMadeFeed:
    """A feed over values: `put` shows another tree and says why, `break_with` ends the events with an error."""

    def __init__(self, tree: Tree, console: bytes = CONSOLE) -> None:
        self._tree, self._console = tree, console
        self._queue: Queue = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._sequence = 0
        self.fetches = 0
        self.ran, self.listed = COMMANDS, PROCESSES

    def put(self, tree: Tree, *events: Event) -> None:
        """Show another tree."""
        old, self._tree = self._tree, tree
        gone = tuple({*_ids(old)} - {*_ids(tree)})
        changed = Changed(
            tree.branches, tree.commits, tree.images, gone, tree.trunk, tree.waiting, tree.ports
        )
        told = [Event(0, "tree", "", "", NOON, changed=changed)] if tree != old else []
        for event in (*told, *events):
            self._sequence += 1
            self._queue.put(replace(event, sequence=self._sequence))

    def break_with(self, error: VertuiError) -> None:
        """The source goes away once."""
        self._queue.put(error)

    def start(self) -> None:
        """Nothing to start."""

    def rejoin(self) -> None:
        """Nothing to wait for."""

    def tree(self) -> Tree:
        """The newest tree."""
        with self._lock:
            self.fetches += 1
        return self._tree

    def events(self) -> "HandMadeEvents":
        """What is put."""
        return HandMadeEvents(self._queue)

    def commands(self, branch: str) -> list[Command]:
        """The same in every branch."""
        return self.ran

    def processes(self, branch: str) -> list[Process]:
        """The same in every branch."""
        return self.listed

    def console(self, branch: str) -> Printing:
        """What the console printed, then silence."""
        return Told([Output(1, 0, self._console)])

    def output(self, branch: str, command: int, offsets: Offsets) -> Printing:
        """A line of output."""
        return Told([Output(1, 0, b"served 41\nserved 42\n")])

    def run(self, request: ExecRequest) -> Printing:
        """A line of output, and the end."""
        return Told([Started(9), Output(1, 0, b"ran it\n"), Exit(0, False)])


def event(kind: str, subject: str, text: str, sequence: int = 1, fraction: float = 0.0) -> Event:
    """An event at noon."""
    return Event(sequence, kind, subject, text, NOON, fraction)


def _ids(tree: Tree) -> list[str]:
    return [branch.id for branch in tree.branches] + [commit.id for commit in tree.commits]
