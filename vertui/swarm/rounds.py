"""A swarm played by its spec: tries, forked from what is best so far, round after round."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from msgspec.structs import replace

from core.errors import DaemonUnavailable, NoRoom, VertuiError
from core.model import Branch, BranchState, Tree
from core.verbs import load
from core.verbs.base import Verb
from vertui.swarm.beginning import Ready, SwarmOrigin, make_ready, remember_origin
from vertui.swarm.hands import AnswerLost
from vertui.swarm.results import SwarmOutcome, SwarmResult, ranked
from vertui.swarm.spec import SwarmSpec, rule_of
from vertui.swarm.steps import ForkedInto, Swarm

OVER = (BranchState.FAILED, BranchState.LOST, BranchState.STOPPED)
STARTED_AT_ONCE = 16  # commands
NOT_ENDED = "not scored: the swarm was over first"
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Try:
    """A branch to be: its name, its round and its number there; what it is forked from, and its place among these."""

    name: str
    round: int
    number: int
    parent: str
    prefix: str
    place: int
    command: str


@dataclass
class Rounds:
    """All of a swarm's tries, as far as they have come."""

    swarm: Swarm
    results: dict[str, SwarmResult] = field(default_factory=dict)
    running: dict[str, Try] = field(default_factory=dict)
    commands: dict[str, int] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)  # by parents' REFs: what their first forks made
    gone: set[str] = field(default_factory=set)
    at_once: int = 0
    why: str = ""

    @property
    def spec(self) -> SwarmSpec:
        """What is tried."""
        return self.swarm.record.spec

    def play(self) -> SwarmOutcome:
        """To the end: what came of it."""
        ready = make_ready(self.swarm)
        self.at_once = self._room(ready.ref)
        parents: Sequence[str] = [ready.ref]
        for number in range(1, self.spec.rounds + 1):
            if number > 1 and self._is_over():
                break
            self._round(number, parents, ready)
            parents = [one.branch for one in self._best()]
            if self.why or not parents:
                break
            self._dispose(set(self.results) - set(parents))
        return self._outcome()

    # -- a round ---------------------------------------------------------------------------------------------

    def _round(self, number: int, parents: Sequence[str], ready: Ready) -> None:
        waiting = deque(self._tries(number, parents))
        first = [waiting.popleft() for _ in range(min(self.at_once, len(waiting)))]
        for parent in parents:
            self._begin([one for one in first if one.parent == parent])
        while (waiting or self.running) and not self.why:
            while waiting and len(self.running) < self.at_once:
                self._begin([waiting.popleft()])
            self._wait(number)
        self._give_up()
        if (
            number == 1 and ready.branch
        ):  # not before: while it is there, so is the commit that tries are forked from
            self.swarm.prune([ready.branch])

    def _tries(self, number: int, parents: Sequence[str]) -> list[Try]:
        """Of a round, in the order in which they begin."""
        spec, made = self.spec, list[Try]()
        for at in range(spec.tries):
            which, place = at % len(parents), at // len(parents) + 1
            prefix = f"{self.swarm.name}-" if number == 1 else f"{self.swarm.name}-{number}{LETTERS[which]}"
            command = spec.variants[at] if spec.variants else spec.command
            made.append(Try(f"{prefix}{place}", number, at + 1, parents[which], prefix, place, command))
        return made

    def _begin(self, tries: Sequence[Try]) -> None:
        """Fork tries of one parent, and start their commands: several only where they are the first of it."""
        if not tries:
            return
        parent, several = tries[0].parent, len(tries) > 1
        ref = self.commits.get(parent, parent)
        forked = self.swarm.fork(ref, len(tries), tries[0].prefix if several else tries[0].name)
        if parent not in self.commits:
            self.commits[parent] = forked.commit
            remember_origin(self.swarm, forked.commit)
        self.swarm.each(lambda one: self._start(one, forked), tries, STARTED_AT_ONCE)
        self._show(tries[0].round)

    def _start(self, one: Try, forked: ForkedInto) -> None:
        if one.name in forked.failed:
            self._keep(SwarmResult(one.name, one.round, one.command, note=forked.failed[one.name]))
            return
        self.running[one.name] = one
        if (known := self.swarm.record.answer(f"result {one.name}", SwarmResult)) is not None:
            self._keep(known)
            return
        rule, limit = rule_of(self.spec.score), self.spec.timeout
        try:
            self.commands[one.name] = self.swarm.start(
                one.name, one.command, number=one.number, score=rule, timeout=limit
            )
        except DaemonUnavailable:
            raise
        except VertuiError as error:
            self._keep(
                SwarmResult(one.name, one.round, one.command, note=f"its command did not start: {error}")
            )

    def _wait(self, number: int) -> None:
        """Until a try has ended, or time is up."""
        if not self._is_over() and not (self.running and self._ended(self.swarm.tree(self._left_s()))):
            return
        tree = self.swarm.tree()  # what was told may be older than a try that has begun just now
        there = {branch.name: branch for branch in tree.branches}
        for one in self._ended(tree):
            self._keep(self._result(one, there.get(one.name)))
        if self.spec.losers != "keep" and self.at_once < self.spec.tries:
            ended = {name for name, one in self.results.items() if one.round == number}
            self._dispose(ended - {one.branch for one in self._best()})

    def _ended(self, tree: Tree) -> list[Try]:
        """The tries for which there is nothing more to wait for."""
        there = {branch.name: branch for branch in tree.branches}
        return [one for one in self.running.values() if _has_ended(there.get(one.name))]

    def _result(self, one: Try, branch: Branch | None) -> SwarmResult:
        if branch is None:
            return SwarmResult(one.name, one.round, one.command, note="it was pruned before it was scored")
        made = SwarmResult(
            one.name, one.round, one.command, branch.score, branch.note if branch.score is None else ""
        )
        if branch.state in OVER:
            return replace(made, note=made.note or f"{branch.state}: {branch.reason}")
        if (command := self.swarm.hands.command(one.name, self.commands[one.name])) is not None:
            made = replace(made, exit_code=command.exit_code, lasted_ms=command.lasted_ms)
        return made

    def _keep(self, result: SwarmResult) -> None:
        """Record what came of a try."""
        name = result.branch
        self.results[name] = self.swarm.once(f"result {name}", lambda _: result, SwarmResult)
        self.running.pop(name, None)
        if self.spec.stop == "first" and self.spec.succeeds(self.results[name].score):
            self.why = f"{name} succeeded"
        self.swarm.say(told(self.results[name]))
        self._show(result.round)

    def _give_up(self) -> None:
        """What has not ended when the swarm is over has no score."""
        for one in list(self.running.values()):
            self._keep(SwarmResult(one.name, one.round, one.command, note=NOT_ENDED))

    def _show(self, round: int) -> None:
        self.swarm.teller.show(round, list(self.running), ranked(self.spec, list(self.results.values())))

    # -- between rounds, and at the end ----------------------------------------------------------------------

    def _best(self) -> list[SwarmResult]:
        """Of all rounds, those that the next one is forked from."""
        scored = [one for one in ranked(self.spec, self.results.values()) if one.score is not None]
        return scored[: self.spec.beam]

    def _dispose(self, names: Iterable[str]) -> None:
        """Do with losers what is to be done with them, once."""
        if self.spec.losers == "keep" or not (lost := sorted(set(names) - self.gone)):
            return
        self.gone |= set(lost)
        self.swarm.each(self._measure, lost)
        if self.spec.losers == "prune":
            self.swarm.prune(lost)
            return
        for name in lost:
            self.swarm.once(f"{self.spec.losers} {name}", partial(self._rest, name), bool)

    def _rest(self, name: str, step: str) -> bool:
        """Pause or suspend a loser. What cannot be done to it, as it has ended by itself, is no matter."""
        verb: Callable[[str], Verb[Branch]] = load(self.spec.losers)
        try:
            self.swarm.do(step, verb(name))
        except (AnswerLost, VertuiError) as error:
            self.swarm.say(f"{name}: {error}")
        return True

    def _measure(self, name: str) -> None:
        """How much a try changed of the files that all began with."""
        base, known = self._forked(), self.results[name]
        found = self.swarm.once(
            f"changed {name}",
            lambda _: replace(known, changed=self.swarm.hands.changed(base, name)),
            SwarmResult,
        )
        self.results[name] = replace(known, changed=found.changed)

    def _outcome(self) -> SwarmOutcome:
        best = self._best()
        winner = best[0].branch if best and self._is_good(best[0]) else ""
        self.swarm.each(self._measure, sorted(set(self.results) - self.gone))
        if winner:
            self._dispose(set(self.results) - {winner})
        origin = self.swarm.record.answer("origin", SwarmOrigin)
        results = tuple(ranked(self.spec, self.results.values()))
        why = self.why or ("" if winner else "no try succeeded" if best else "no try has a score")
        return SwarmOutcome(results, winner, origin.commit if origin else "", self._forked(), why)

    def _forked(self) -> str:
        """The commit that the first tries came from."""
        return next(iter(self.commits.values()), "")

    def _is_good(self, result: SwarmResult) -> bool:
        """Good enough to win?"""
        return self.spec.stop == "best" or self.spec.succeeds(result.score)

    # -- limits ----------------------------------------------------------------------------------------------

    def _room(self, ref: str) -> int:
        """How many tries may be at work at once."""
        most = self.spec.at_once or self.spec.tries
        if not self.spec.memory:
            return most
        return self.swarm.once("room", lambda _: self._fitting(ref, most), int)

    def _fitting(self, ref: str, most: int) -> int:
        """The same, of so many, where memory has a limit. NoRoom when that is for none."""
        spec = self.spec
        fits = self.swarm.hands.fits(ref, spec.memory << 20)
        besides = spec.beam * (2 if spec.rounds > 1 else 1)  # the best so far, and what they were forked from
        needed = spec.tries * spec.rounds if spec.losers == "keep" else besides + 1
        if fits < needed:
            raise NoRoom(
                f"memory of {spec.memory} MiB is for {fits} branches, and {needed} are there at once:"
                " give more, or have losers pruned"
            )
        return most if spec.losers == "keep" else min(most, fits - besides)

    def _is_over(self) -> bool:
        """Is time up? Then that is why it ends."""
        left = self._left_s()
        if left is None or left > 0:
            return False
        self.why = self.why or f"{self.spec.within:g} s were over"
        return True

    def _left_s(self) -> float | None:
        """How long the swarm may still take."""
        if self.spec.within is None:
            return None
        return self.swarm.record.begun.time + self.spec.within - time.time()


def told(result: SwarmResult) -> str:
    """A result in a line."""
    score = f"score {result.score:g}" if result.score is not None else result.note
    return f"{result.branch}  {score}"


def _has_ended(branch: Branch | None) -> bool:
    """Is there nothing more to wait for?"""
    return branch is None or branch.scoring is None or branch.state in OVER
