"""A swarm played by its spec: tries, forked from what is best so far, round after round."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from msgspec.structs import replace

from core.commands import EXIT
from core.errors import DaemonUnavailable, NoRoom, VertuiError
from core.model import Branch, Tree
from core.verbs import load
from core.verbs.base import Verb
from vertui.swarm.beginning import Ready, SwarmOrigin, make_ready, remember_origin
from vertui.swarm.hands import AnswerLost
from vertui.swarm.results import SwarmOutcome, SwarmResult, ranked
from vertui.swarm.spec import SwarmSpec
from vertui.swarm.steps import ForkedInto, Swarm
from vertui.swarm.tries import LETTERS, Try, tries_of
from vertui.swarm.work import TryWork, result_of

STARTED_AT_ONCE = 16  # commands


@dataclass
class Rounds:
    """All of a swarm's tries, as far as they have come."""

    swarm: Swarm
    work: TryWork
    results: dict[str, SwarmResult] = field(default_factory=dict)
    running: dict[str, Try] = field(default_factory=dict)
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
            if number > 1 and (why := self._over()) and not self._begun(number):
                self.why = why
                break
            self._round(number, parents, ready)
            parents = [one.branch for one in self._best()]
            if self.why or not parents:
                break
            self._dispose(set(self.results) - set(parents))
        return self._outcome()

    # -- a round ---------------------------------------------------------------------------------------------

    def _round(self, number: int, parents: Sequence[str], ready: Ready) -> None:
        waiting = deque(tries_of(self.spec, self.swarm.name, number, parents, self.results))
        first = [waiting.popleft() for _ in range(min(self.at_once, len(waiting)))]
        for parent in parents:
            self._begin([one for one in first if one.parent == parent])
        while (waiting or self.running) and not self.why:
            while waiting and len(self.running) < self.at_once:
                self._begin([waiting.popleft()])
            self._wait(number)
        for one in list(self.running.values()):
            self._keep(one, lambda one=one: self.work.give_up(one))  # type: ignore[misc]
        if number == 1 and ready.branch:
            self.swarm.prune([ready.branch])  # while it is there, so is the commit that tries are forked from

    def _begin(self, tries: Sequence[Try]) -> None:
        """Fork tries of one parent, and start their work: several only where they are the first of it."""
        if not tries:
            return
        parent, several = tries[0].parent, len(tries) > 1
        ref = self.commits.get(parent, parent)
        forked = self.swarm.fork(ref, len(tries), tries[0].prefix if several else tries[0].name)
        beside: list[Callable[[], object]] = [partial(self._start, one, forked) for one in tries]
        if parent not in self.commits:
            self.commits[parent] = forked.commit
            beside.append(partial(remember_origin, self.swarm, forked.commit))
        self.swarm.each(lambda do: do(), beside, STARTED_AT_ONCE)
        self._show(tries[0].round)

    def _start(self, one: Try, forked: ForkedInto) -> None:
        known = self.swarm.record.answer(f"result {one.name}", SwarmResult)
        if known is not None or (why := self._not_begun(one, forked)):
            self._keep(one, lambda: known or result_of(one, why))

    def _not_begun(self, one: Try, forked: ForkedInto) -> str:
        """Begin a try's work; why it cannot be begun, or nothing."""
        if one.name in forked.failed:
            return forked.failed[one.name]
        if one.crossed and (why := self.swarm.apply(one.crossed, one.name)):
            return f"not crossed with {one.crossed}: {why}"
        try:
            self.work.begin(one)
        except DaemonUnavailable:
            raise
        except VertuiError as error:
            return f"its command did not start: {error}"
        self.running[one.name] = one
        return ""

    def _wait(self, number: int) -> None:
        """Until a try has ended, or the swarm is over."""
        over = self._over()
        there = _branches(self.swarm.tree(self._left_s() if self.running and not over else 0.0))
        certain = {name for name, one in self.running.items() if self.work.certain(one, there.get(name))}
        if any(one.name not in certain for one in self._ended(there)):
            there = _branches(self.swarm.tree())  # what was told may be older than a try that began just now
        for one in self._ended(there):
            self._keep(one, lambda one=one: self.work.result(one, there.get(one.name)))  # type: ignore[misc]
        self.why = self.why or over
        if self.spec.losers != "keep" and self.at_once < self.spec.tries:
            ended = {name for name, one in self.results.items() if one.round == number}
            self._dispose(ended - {one.branch for one in self._best()})

    def _ended(self, there: dict[str, Branch]) -> list[Try]:
        """The tries for which there is nothing more to wait for."""
        return [one for one in self.running.values() if self.work.has_ended(one, there.get(one.name))]

    def _keep(self, one: Try, found: Callable[[], SwarmResult]) -> None:
        """Record what came of a try."""
        result = self.swarm.once(f"result {one.name}", lambda _: found(), SwarmResult)
        self.results[one.name] = result
        self.work.ended(result)
        self.running.pop(one.name, None)
        if self.spec.stop == "first" and self.spec.succeeds(result.score):
            self.why = f"{one.name} succeeded"
        self.swarm.say(told(result))
        self._show(result.round)

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
        if self.spec.diffs:
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
        self.swarm.each(
            self._measure,
            sorted(set(self.results) - self.gone) if self.spec.diffs else [winner] * bool(winner),
        )
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
        """Good enough to win? None that failed is, where scores tell no more than that."""
        by_exit = self.spec.score == EXIT and not self.spec.called
        return self.spec.succeeds(result.score) or (self.spec.stop == "best" and not by_exit)

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

    def _over(self) -> str:
        """Why the swarm ends before it is done, if it does."""
        left = self._left_s()
        late = f"{self.spec.within:g} s were over" if left is not None and left <= 0 else ""
        return late or self.work.why_over()

    def _begun(self, number: int) -> bool:
        """Was anything of a round done already, before the swarm was killed?"""
        forks = tuple(f"fork {self.swarm.name}-{number}{letter}" for letter in LETTERS)
        return any(step.startswith(forks) for step in self.swarm.record.steps)

    def _left_s(self) -> float | None:
        """How long the swarm may still take."""
        if self.spec.within is None:
            return None
        return self.swarm.record.begun.time + self.spec.within - time.time()


def told(result: SwarmResult) -> str:
    """A result in a line."""
    score = f"score {result.score:g}" if result.score is not None else result.note
    return f"{result.branch}  {score}"


def _branches(tree: Tree) -> dict[str, Branch]:
    return {branch.name: branch for branch in tree.branches}
