"""A swarm as whoever plays it sees it: steps, each taken once however often the swarm is played from its beginning.

A step is recorded when its answer is known. One that was asked for and not recorded, because the swarm was killed
between, is asked for again under the same request id, and the daemon or the guest answers what it answered then.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from msgspec import Struct

from core.errors import Conflict, DaemonStopped, DaemonUnavailable, GuestFailed, NotFound, VertuiError
from core.model import BranchState, Child, ExecRequest, Tree
from core.naming import filled
from core.verbs.apply import Apply
from core.verbs.base import Verb
from core.verbs.fork import Fork
from core.verbs.prune import Prune
from vertui.swarm.hands import AnswerLost, Hands
from vertui.swarm.record import SwarmRecord
from vertui.swarm.results import SwarmResult

A = TypeVar("A")
T = TypeVar("T")
U = TypeVar("U")

ATTEMPTS = 5  # at a step, when the daemon ends while it is at work
AGAIN_S = 0.5
UNSURE = (GuestFailed,)  # whether a guest did it: asked again, it does it once
AT_ONCE = 4  # steps that a driver takes beside each other, where it says no number
BLANKS = " \t\n"


class ForkedInto(Struct, frozen=True):
    """Branches forked from one commit: those that run, and why others do not, by name."""

    commit: str
    names: tuple[str, ...]
    failed: dict[str, str] = {}


class FinishedCommand(Struct, frozen=True):
    """How a command ended, and the end of what it printed."""

    code: int
    text: str


class SwarmTeller(Protocol):
    """Hears how far a swarm is."""

    def say(self, line: str) -> None:
        """Something happened, in a line."""

    def show(self, round: int, running: Sequence[str], results: Sequence[SwarmResult]) -> None:
        """Which tries are at work, and what came of the others, best first."""


class SilentBoard:
    """Shows nothing."""

    def say(self, line: str) -> None:
        """It is in the record."""

    def show(self, round: int, running: Sequence[str], results: Sequence[SwarmResult]) -> None:
        """So is this."""

    def close(self) -> None:
        """There is nothing to leave."""


class Swarm:
    """A swarm being played. Threads may share it, each with branches of its own."""

    def __init__(self, record: SwarmRecord, hands: Hands, teller: SwarmTeller) -> None:
        self.record, self.hands, self.teller = record, hands, teller
        self._counted: Counter[str] = Counter()
        self._lock, self._pruning = threading.Lock(), threading.Lock()

    @property
    def name(self) -> str:
        """Its own, with which the names of its branches begin."""
        return self.record.name

    def tree(self, wait_s: float | None = 0.0) -> Tree:
        """The tree; one that has changed since it was looked at last, if that happens within so long."""
        return self.again(lambda: self.hands.tree(wait_s))

    def say(self, line: str) -> None:
        """Tell who looks on."""
        self.teller.say(line)

    # -- steps -----------------------------------------------------------------------------------------------

    def fork(
        self, ref: str, n: int = 1, prefix: str | None = None, *, egress: Sequence[str] | None = None
    ) -> ForkedInto:
        """Fork a branch or commit into PREFIX1 … PREFIXn, or PREFIX itself for a single one; by several threads only
        with a prefix. They may reach what the spec says, without `egress`.
        """
        prefix = prefix or f"{self.name}-{self._next('fork')}{'' if n == 1 else '-'}"
        verb = Fork(ref, n, prefix, egress=self.record.spec.egress if egress is None else tuple(egress))
        return self.once(f"fork {prefix}", lambda step: self._forked(step, verb), ForkedInto)

    def start(
        self, branch: str, command: str, *, number: int = 1, score: str = "", timeout: float | None = None
    ) -> int:
        """Start a command in a branch and leave it running; its number there. {i} is the `number`, {name} the branch;
        `score` is a rule by which its end scores the branch (`core.commands.Scoring`).
        """
        line, step = filled(command, number, branch), f"start {branch} {self._next(branch)}"
        request = ExecRequest(
            branch,
            (line,) if any(blank in line for blank in BLANKS) else ("sh", "-c", line),
            env={"SWARM": self.name},
            secrets=self.record.spec.given_secrets,
            timeout_s=timeout,
            outlives=True,
            key=self.record.key(step),
            score=score,
        )
        return self.once(step, lambda _: self.again(lambda: self.hands.start(request), UNSURE), int)

    def printed(self, branch: str, command: int) -> FinishedCommand:
        """Wait for a command's end; how that was, and what it printed last."""
        step = f"printed {branch} {command}"
        return self.once(
            step,
            lambda _: FinishedCommand(*self.again(lambda: self.hands.printed(branch, command), UNSURE)),
            FinishedCommand,
        )

    def run(self, branch: str, command: str, *, timeout: float | None = None) -> FinishedCommand:
        """Run a command in a branch to its end."""
        return self.printed(branch, self.start(branch, command, timeout=timeout))

    def apply(self, source: str, branch: str) -> str:
        """Bring what one branch changed of its files into another, three-way; why that cannot be, or nothing."""
        verb = Apply(source, branch)
        return self.once(f"apply {source} to {branch}", lambda step: self._applied(step, verb), str)

    def prune(self, names: Iterable[str], *, now: bool = False) -> None:
        """Prune branches, into the trash or for good; those that are gone already are no matter."""
        if not (wanted := tuple(names)):
            return
        with self._pruning:  # what a prune takes along depends on what others have taken
            self.once(f"prune {' '.join(wanted)}", lambda step: self._pruned(step, wanted, now=now), bool)

    def each(self, work: Callable[[T], U], many: Sequence[T], at_once: int = AT_ONCE) -> list[U]:
        """Do the work for each of many, so many beside each other. The first failure is raised once none is at work."""
        found: dict[int, U] = {}
        failures: list[BaseException] = []
        waiting = iter(enumerate(many))

        def some() -> None:
            while not failures:
                with self._lock:
                    at, one = next(waiting, (-1, None))
                if at < 0:
                    return
                try:
                    found[at] = work(one)  # type: ignore[arg-type]
                except BaseException as error:
                    failures.append(error)

        threads = [threading.Thread(target=some, daemon=True) for _ in range(min(at_once, len(many)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return [found[at] for at in range(len(many))]

    def once(self, step: str, take: Callable[[str], T], cls: type[T]) -> T:
        """The answer of a step: as it was recorded, or else as `take`, given its name, answers. `cls` is its type."""
        found = self.record.answer(step, cls)
        if found is None:
            self.record.add(step, found := take(step))
        return found

    def do(self, step: str, verb: Verb[A], *, waits: bool = True) -> A:
        """A verb's answer. It is asked for anew where a daemon left it unfinished when it ended, and, if it `waits`,
        where it is in conflict with what goes on: with a guest too busy to be frozen, or with somebody else's prune.
        """
        passing = (Conflict,) if waits else ()
        for left in reversed(range(ATTEMPTS)):
            key = self.record.key(step)
            try:
                return self.again(lambda key=key: self.hands.do(verb, key))  # type: ignore[misc]
            except DaemonUnavailable:
                raise
            except VertuiError as error:
                self.record.refuse(step, str(error))
                if not left or not (type(error) is VertuiError or isinstance(error, passing)):
                    raise
            time.sleep(AGAIN_S)
        raise AssertionError("the last attempt raises")

    def again(self, ask: Callable[[], U], also: tuple[type[VertuiError], ...] = ()) -> U:
        """Ask, and once more each time the daemon dies meanwhile; at a failure of these kinds, too."""
        for left in reversed(range(ATTEMPTS)):
            try:
                return ask()
            except DaemonStopped:
                raise
            except VertuiError as error:
                if not left or not isinstance(error, (DaemonUnavailable, *also)):
                    raise
            time.sleep(AGAIN_S)
        raise AssertionError("the last attempt raises")

    # -- how they are taken ----------------------------------------------------------------------------------

    def _forked(self, step: str, verb: Fork) -> ForkedInto:
        try:
            made = self.do(step, verb)
        except AnswerLost:
            return self._found(verb)
        return _into(made.commit.id, made.children)

    def _found(self, verb: Fork) -> ForkedInto:
        """The children of a fork whose answer is lost, as they are now."""
        prefix = verb.prefix or ""
        names = [prefix] if verb.n == 1 else [f"{prefix}{number}" for number in range(1, verb.n + 1)]
        there = {branch.name: branch for branch in self.tree().branches}
        found = [there[name] for name in names if name in there]
        if not found:
            raise GuestFailed(f"the branches {names[0]} … of {self.name} are gone")
        failed = BranchState.FAILED
        children = [Child(one.name, one.state is not failed, one.reason) for one in found]
        return _into(found[0].parent or "", children)

    def _applied(self, step: str, verb: Apply) -> str:
        try:
            self.do(step, verb, waits=False)
        except AnswerLost:
            pass
        except DaemonUnavailable:
            raise
        except VertuiError as error:
            return str(error)
        return ""

    def _pruned(self, step: str, names: tuple[str, ...], *, now: bool) -> bool:
        try:
            self.do(step, Prune(names, now))
        except AnswerLost:
            pass
        except NotFound:
            there = {branch.name for branch in self.tree().branches}
            if left := tuple(name for name in names if name in there):
                self.do(f"{step}, left", Prune(left, now))
        return True

    def _next(self, what: str) -> int:
        with self._lock:
            self._counted[what] += 1
            return self._counted[what]


def _into(commit: str, children: Iterable[Child]) -> ForkedInto:
    children = list(children)
    names = tuple(child.name for child in children if child.ok)
    return ForkedInto(commit, names, {child.name: child.reason for child in children if not child.ok})
