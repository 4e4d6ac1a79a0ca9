"""`vertui demo`: the main job on real work, by the client alone, every step checked.

A machine runs a service that counts requests in memory and a client with one connection to it. Forked into four,
each branch tries a patch on a project whose tests fail, and is scored, while its service counts on. The best is
promoted, the rest pruned.
"""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from core.codec import encode
from core.daemon.client import Client
from core.errors import Conflict, GuestFailed, VertuiError
from core.files import disk_error
from core.model import Branch, Child, ExecRequest, Forked, Plan
from core.patience import patient
from core.verbs.image.build import Build
from vertui.building import build
from vertui.lanes import rows
from vertui.output import Cell, say_table, styled
from vertui.streaming import CompletedCommand, capture
from vertui.text import millis, number, printable
from vertui.transfer import Copier, Place

ASSETS = Path(__file__).resolve().parent / "assets" / "demo"
PATCHES = ("half", "right", "wrong", "hang")
RIGHT = "right"
FIXED = "/root/demo/project/slots/calendar.py"
IMAGE = "base"
STATUS = "/dev/shm/caller.json"  # as in assets/demo/caller.py
# The suite alone takes 2 s where the processor is emulated; here four run beside one that hangs.
TESTS_S = patient(25.0)
READY_S = patient(60.0)
POLL_S = 0.2
DETACHED = 'setsid "$@" </dev/null >/dev/null 2>&1 &'


@dataclass(frozen=True)
class Call:
    """What the guest's client says of its one connection; see assets/demo/caller.py."""

    count: int
    accepts: int
    port: int
    gaps: int


@dataclass
class Trial:
    """One branch with its patch, and what came of it."""

    child: Child
    patch: str
    branch: Branch
    score: float = 0.0
    note: str = ""
    counter_after: int = 0
    diff: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The branch."""
        return self.child.name


class DemoFailed(VertuiError):
    """A step did not do what it says; everything is left for inspection."""


class Teller(Protocol):
    """Says what is done."""

    def step(self, text: str) -> AbstractContextManager[None]:
        """Say it while it is done; DemoFailed, which names the step, when it is not."""

    def say(self, line: str) -> None:
        """Say a part of a step."""


class PrintedTeller:
    """Prints what was done, ticked, with its time."""

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """A line a step."""
        started = time.monotonic()
        try:
            with named(text):
                yield
        except VertuiError:
            print(f"{styled('✗', 'red')} {text}")
            raise
        took = millis((time.monotonic() - started) * 1000)
        print(f"{styled('✓', 'green')} {text:<64} {took:>8}", flush=True)

    def say(self, line: str) -> None:
        """A line beside it."""
        print(f"    {line}")


@contextmanager
def named(step: str) -> Iterator[None]:
    """A failure names its step."""
    try:
        yield
    except VertuiError as error:
        raise DemoFailed(f"demo: {step}: {error} (everything is left as it is: `vertui tree`)") from error


def check(holds: bool, otherwise: str) -> None:
    """GuestFailed unless it holds."""
    if not holds:
        raise GuestFailed(otherwise)


@dataclass(frozen=True)
class PlayedBranch:
    """What came of one child."""

    name: str
    patch: str
    address: str | None
    tap: str | None
    namespace: str | None
    score: float
    fork_ms: float
    counter_before: int
    counter_after: int
    diff: list[str]


@dataclass(frozen=True)
class Played:
    """The outcome of a demo; `diff` is what the winner changed."""

    branches: list[PlayedBranch]
    winner: str
    diff: list[str]
    parent_pause_ms: float
    parent_felt_pause_ms: float
    tree_before: list[str]
    tree_after: list[str]


class Demo:
    """One run. `main` is the demo's machine; its children are named after it."""

    def __init__(self, client: Client, teller: Teller) -> None:
        self.client = client
        self._step, self._say = teller.step, teller.say
        self.main = _free_name({branch.name for branch in client.tree().branches})
        self.trunk_before = client.tree().trunk
        self.trials: list[Trial] = []
        self.before: Call | None = None
        self.forked: Forked | None = None
        self.fork_commit = ""
        self.winner = ""
        self.tree_before: list[str] = []
        self.tree_after: list[str] = []

    def play(self) -> Played:
        """All steps; what `--json` writes. DemoFailed at the first that does not hold."""
        self.start()
        self.fork()
        self.try_patches()
        self.compare()
        self.choose()
        return self.report()

    def start(self) -> None:
        """Image, machine, project, service."""
        images = self.client.tree().images
        if not images:
            with self._step(f"build image {IMAGE}"):
                build(self.client, Build(IMAGE))
        image = next((one.name for one in images if one.name == IMAGE), images[0].name if images else IMAGE)
        with self._step(f"start {self.main} from image {image}"):
            self.client.up(image, self.main)
            self.client.policy(self.main, manual=True)  # the tree is to show what the demo does
        with self._step("copy the project in"):
            Copier(self.client, lambda _: None).copy(Place(None, str(ASSETS)), Place(self.main, "/root/demo"))
        with self._step("start a service that counts, and one connection to it"):
            for program in ("counter.py", "caller.py"):
                self._leave_running("python3", f"/root/demo/{program}")
            self.before = self._wait_for(self.main, 5)

    def fork(self) -> None:
        """Four children of one commit."""
        with self._step(f"fork {self.main} into {len(PATCHES)} running branches"):
            self.before = self._call(self.main)
            self.forked = self.client.fork(self.main, len(PATCHES), f"{self.main}-b")
            self.fork_commit = self.forked.commit.id
            failed = [f"{child.name}: {child.reason}" for child in self.forked.children if not child.ok]
            check(not failed, "; ".join(failed))
            addresses = {child.address for child in self.forked.children}
            check(len(addresses) == len(PATCHES), "two branches have the same address")
            live = {branch.name: branch for branch in self.client.tree().branches}
            self.trials = [
                Trial(child, patch, live[child.name])
                for child, patch in zip(self.forked.children, PATCHES, strict=True)
            ]

    def try_patches(self) -> None:
        """Patch, test and score, all branches at once."""
        with self._step("apply a patch, run the tests and score, in every branch"):
            self._in_all(self._try)
        for trial in self.trials:
            self._say(f"{trial.name}  {trial.patch:<6} score {number(trial.score):<5} {trial.note}")
        with self._step("every service counted on from the parent's number, same connection"):
            self._in_all(self._check_counter)

    def compare(self) -> None:
        """Each branch against the commit it was forked from."""
        with self._step("compare every branch's files with the fork"):
            for trial in self.trials:
                entries = self.client.diff(self.fork_commit, trial.name).entries
                trial.diff = sorted("/" + entry.path.lstrip("/") for entry in entries)
                check(FIXED in trial.diff, f"{trial.name} lacks its change of {FIXED}: {trial.diff[:5]}")

    def choose(self) -> None:
        """Promote the best, prune the others."""
        self.tree_before = self._tree()
        best = max(self.trials, key=lambda trial: trial.score)
        self.winner = best.name
        with self._step(f"promote {best.name}, the best"):
            check(best.patch == RIGHT, f"{best.name} won with the patch '{best.patch}', which is not right")
            started = self._uptime(best.name)
            self._execute(self.client.plan_promote(best.name))
            check(self.client.tree().trunk == best.name, f"{best.name} is not the trunk")
            check(self._uptime(best.name) >= started, f"{best.name} was started again")
        losers = [trial.name for trial in self.trials if trial is not best]
        with self._step(f"prune {', '.join(losers)}"):
            self._execute(self.client.plan_prune(losers))
            left = {branch.name for branch in self.client.tree().branches} & set(losers)
            check(not left, f"{', '.join(sorted(left))} is still there")
        self.tree_after = self._tree()

    def clean(self) -> None:
        """Give the trunk back and put what the demo made into the trash; the image stays.

        Removed for good, it would leave behind operations that undo is offered for and can take back no more.
        """
        with self._step("clean up (`--keep` leaves it, `vertui undo` brings it back)"):
            if self.trunk_before:
                self._execute(self.client.plan_promote(self.trunk_before))
            self._execute(self.client.plan_prune([self.main, self.winner, self.fork_commit]))

    def report(self) -> Played:
        """The outcome as one JSON document; `diff` is what the winner changed."""
        assert self.forked and self.before
        return Played(
            branches=[self._branch(trial, self.before) for trial in self.trials],
            winner=self.winner,
            diff=next(trial.diff for trial in self.trials if trial.name == self.winner),
            parent_pause_ms=self.forked.pause_ms,
            parent_felt_pause_ms=self.forked.felt_pause_ms,
            tree_before=self.tree_before,
            tree_after=self.tree_after,
        )

    def table(self) -> None:
        """What each branch came to."""
        assert self.forked
        header = ("BRANCH", "PATCH", "SCORE", "FILES", "ADDRESS", "FORK", "COUNTER")
        say_table(header, [self._row(trial) for trial in self.trials])
        print(f"parent paused {millis(self.forked.pause_ms)}, felt {millis(self.forked.felt_pause_ms)}")

    def _row(self, trial: Trial) -> tuple[Cell | str, ...]:
        assert self.before
        return (
            Cell(trial.name, "bold" if trial.name == self.winner else ""),
            trial.patch,
            number(trial.score),
            str(len(trial.diff)),
            trial.branch.address or "",
            millis(trial.child.fork_ms),
            f"{self.before.count} → {trial.counter_after}",
        )

    def _branch(self, trial: Trial, before: Call) -> PlayedBranch:
        return PlayedBranch(
            name=trial.name,
            patch=trial.patch,
            address=trial.branch.address,
            tap=trial.branch.tap,
            namespace=trial.branch.namespace,
            score=trial.score,
            fork_ms=trial.child.fork_ms,
            counter_before=before.count,
            counter_after=trial.counter_after,
            diff=trial.diff,
        )

    def _try(self, trial: Trial) -> None:
        """Apply the patch and score what the tests say under a time limit."""
        applied = self._run(trial.name, 60, "git", "apply", f"/root/demo/patches/{trial.patch}.patch")
        check(applied.code == 0, f"{trial.name}: git apply: {_last_line(applied.stderr)}")
        tested = self._run(trial.name, TESTS_S, "python3", "-B", "/root/demo/score.py")
        if tested.timed_out:
            trial.note = f"no end within {TESTS_S:g} s"
        else:
            result = numbers_of(tested.stdout, trial.name)
            trial.score = round(result["passed"] / result["total"], 3)
            trial.note = f"{result['passed']} of {result['total']} tests pass"
        self.client.score(trial.name, trial.score, trial.note)

    def _check_counter(self, trial: Trial) -> None:
        before = self.before
        assert before
        now = self._wait_for(trial.name, before.count + 1)
        trial.counter_after = now.count
        check(now.port == before.port, f"{trial.name}: the connection is another one")
        check(now.accepts == 1, f"{trial.name}: the service saw {now.accepts} connections")
        check(now.gaps == 0, f"{trial.name}: the count jumped")

    def _in_all(self, work: Callable[[Trial], None]) -> None:
        """`work` in every branch at once; the first error is raised when all are through."""
        with ThreadPoolExecutor(len(self.trials)) as pool:
            for future in [pool.submit(work, trial) for trial in self.trials]:
                future.result()

    def _run(self, branch: str, timeout_s: float, *argv: str) -> CompletedCommand:
        request = ExecRequest(branch, argv, cwd="/root/demo/project", timeout_s=timeout_s)
        return capture(self.client.endpoint, request)

    def _leave_running(self, *argv: str) -> None:
        """As a service runs: by no command of exec's, so that what is watched in a branch is what was started there."""
        started = self._run(self.main, READY_S, "sh", "-c", DETACHED, "sh", *argv)
        check(started.code == 0, f"{argv[-1]} did not start: {_last_line(started.stderr)}")

    def _call(self, branch: str) -> Call:
        return Call(**numbers_of(self._run(branch, READY_S, "cat", STATUS).stdout, branch))

    def _wait_for(self, branch: str, count: int) -> Call:
        """The client's status once the count has come that far."""
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if self._run(branch, READY_S, "test", "-e", STATUS).code == 0:
                call = self._call(branch)
                if call.count >= count:
                    return call
            time.sleep(POLL_S)
        raise GuestFailed(f"{branch}: the service did not count to {count} within {READY_S:g} s")

    def _uptime(self, name: str) -> float:
        return next((branch.uptime_s for branch in self.client.tree().branches if branch.name == name), 0.0)

    def _execute(self, plan: Plan) -> None:
        for line in plan.lines:
            self._say(printable(line))
        self.client.execute(plan)

    def _tree(self) -> list[str]:
        return [f"{row.graph} {row.text}" for row in rows(self.client.tree())]


def run(client: Client, output: Path | None, keep: bool) -> None:
    """Play the demo; write what happened to `output`. DemoFailed names the step that did not hold."""
    demo = Demo(client, PrintedTeller())
    result = demo.play()
    if output:
        _write(output, result)
    for title, lines in (("before", demo.tree_before), ("after", demo.tree_after)):
        print(styled(f"\ntree {title}", "bold"))
        print("\n".join(lines))
    print()
    demo.table()
    if not keep:
        demo.clean()


def _write(output: Path, result: Played) -> None:
    try:
        output.write_text(json.dumps(encode(result), indent=2) + "\n")
    except OSError as error:
        raise disk_error(error, output) from error


def _free_name(taken: set[str]) -> str:
    """demo, demo2, …: the first for which neither it nor a child of it is taken."""
    for number_ in range(1, 1000):
        name = "demo" if number_ == 1 else f"demo{number_}"
        if not any(one == name or one.startswith(f"{name}-b") for one in taken):
            return name
    raise Conflict("there are a thousand demos already: prune some")


def numbers_of(data: bytes, branch: str) -> dict[str, int]:
    """The last line of what a guest printed: numbers by name, or GuestFailed."""
    try:
        value = json.loads(_last_line(data))
        return {str(key): int(number_) for key, number_ in value.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise GuestFailed(f"{branch} does not say what it was asked") from error


def _last_line(data: bytes) -> str:
    return printable(data.strip().split(b"\n")[-1].decode(errors="backslashreplace"))
