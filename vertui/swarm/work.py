"""What a try does in its branch: a command there, or a call of a Python function here."""

import math
import threading
import time
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from core.errors import DaemonUnavailable, VertuiError
from core.model import Branch, BranchState
from core.verbs.score import Score
from vertui.swarm.costs import CostMeter
from vertui.swarm.results import SwarmResult
from vertui.swarm.spec import rule_of
from vertui.swarm.steps import Swarm
from vertui.swarm.tries import Try

OVER = (BranchState.FAILED, BranchState.LOST, BranchState.STOPPED)
NOT_ENDED = "not scored: the swarm was over first"
LONGEST_NOTE = 200  # characters of what a function says of its failure

Called = Callable[[str, int], float | None]
"""A function that is called with a branch's name and a try's number; its answer is the score, if it has one."""


class TryWork(Protocol):
    """What tries do. It begins in several threads; all else is asked by one."""

    def begin(self, one: Try) -> None:
        """Begin; once, however often it is asked. VertuiError says why it does not."""

    def certain(self, one: Try, branch: Branch | None) -> bool:
        """Is this branch as it was told of since its try began, or may that be older?"""

    def has_ended(self, one: Try, branch: Branch | None) -> bool:
        """Is there nothing more to wait for?"""

    def result(self, one: Try, branch: Branch | None) -> SwarmResult:
        """What came of one that has ended."""

    def give_up(self, one: Try) -> SwarmResult:
        """What came of one that has not ended when the swarm is over."""

    def ended(self, result: SwarmResult) -> None:
        """A result is recorded, now or before the swarm was killed."""

    def why_over(self) -> str:
        """Why the swarm is over, where it is by what its tries did."""


class CommandWork:
    """Commands, scored by the daemon as they end."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm, self._spec = swarm, swarm.record.spec
        self._numbers: dict[str, int] = {}
        self._heard: set[str] = set()
        self._costs = CostMeter(swarm)

    def begin(self, one: Try) -> None:
        """Start its command, which runs on also without us."""
        rule, limit = rule_of(self._spec.score), self._spec.timeout
        number = self._swarm.start(one.name, one.command, number=one.number, score=rule, timeout=limit)
        self._numbers[one.name] = number
        self._costs.follow(one.name, number)

    def certain(self, one: Try, branch: Branch | None) -> bool:
        """Once it was seen at work, or scored."""
        if branch is not None and (branch.scoring is not None or branch.score is not None):
            self._heard.add(one.name)
        return one.name in self._heard

    def has_ended(self, one: Try, branch: Branch | None) -> bool:
        """Its command has been judged, or never will be."""
        return branch is None or branch.scoring is None or branch.state in OVER

    def result(self, one: Try, branch: Branch | None) -> SwarmResult:
        """Its score, and how its command ended: the daemon tells that together with the score, mostly."""
        if branch is None:
            return result_of(one, "it was pruned before it was scored")
        made = replace(result_of(one), score=branch.score, note=branch.note if branch.score is None else "")
        made = self._costs.charged(made)
        if branch.state in OVER:
            return replace(made, note=made.note or f"{branch.state}: {branch.reason}")
        number, last = self._numbers[one.name], branch.last
        if last is not None and last.id == number and last.lasted_ms is not None:
            return replace(made, exit_code=last.exit_code, lasted_ms=last.lasted_ms)
        if (command := self._swarm.hands.command(one.name, number)) is not None:
            return replace(made, exit_code=command.exit_code, lasted_ms=command.lasted_ms)
        return made

    def give_up(self, one: Try) -> SwarmResult:
        """It runs on, unless that costs."""
        self._costs.stop(one.name)
        return self._costs.charged(result_of(one, NOT_ENDED))

    def ended(self, result: SwarmResult) -> None:
        """What it cost counts."""
        self._costs.spent(result)

    def why_over(self) -> str:
        """More was spent than may be."""
        return self._costs.why_over()


class CallResult(Struct, frozen=True):
    """What a function answered of a branch, or why it did not."""

    score: float | None
    note: str
    lasted_ms: float


class CallWork:
    """Calls of a function, each in a thread of its own. One that was cut off is made again in its branch."""

    def __init__(self, swarm: Swarm, call: Called) -> None:
        self._swarm, self._call = swarm, call
        self._done: dict[str, CallResult] = {}
        self._failed: BaseException | None = None

    def begin(self, one: Try) -> None:
        """Call it, and come back at once."""
        threading.Thread(target=self._work, args=(one,), daemon=True).start()

    def certain(self, one: Try, branch: Branch | None) -> bool:
        """What ended is known here."""
        return True

    def has_ended(self, one: Try, branch: Branch | None) -> bool:
        """It has answered. What keeps that from being written down is raised."""
        if self._failed is not None:
            raise self._failed
        return one.name in self._done

    def result(self, one: Try, branch: Branch | None) -> SwarmResult:
        """Its answer."""
        done = self._done[one.name]
        return replace(result_of(one), score=done.score, note=done.note, lasted_ms=done.lasted_ms)

    def give_up(self, one: Try) -> SwarmResult:
        """A thread cannot be ended: nobody hears its answer."""
        return result_of(one, NOT_ENDED)

    def ended(self, result: SwarmResult) -> None:
        """It is known."""

    def why_over(self) -> str:
        """Functions tell no costs."""
        return ""

    def _work(self, one: Try) -> None:
        try:
            done = self._swarm.once(f"called {one.name}", lambda _: self._answer(one), CallResult)
            if done.score is not None:
                verb = Score(one.name, done.score)
                self._swarm.once(f"score {one.name}", lambda step: self._scored(step, verb), bool)
            self._done[one.name] = done
        except BaseException as error:
            self._failed = error
        self._swarm.hands.wake()

    def _answer(self, one: Try) -> CallResult:
        began, score, note = time.monotonic(), None, ""
        try:
            answer = self._call(one.name, one.number)
            score = None if answer is None else float(answer)
            if score is None or not math.isfinite(score):
                score, note = (
                    None,
                    f"not scored: the function answered {'nothing' if score is None else score}",
                )
        except DaemonUnavailable:
            raise
        except Exception as error:
            said = str(error) if isinstance(error, VertuiError) else f"{type(error).__name__}: {error}"
            note = f"not scored: {said}"[:LONGEST_NOTE]
        return CallResult(score, note, round((time.monotonic() - began) * 1000, 2))

    def _scored(self, step: str, verb: Score) -> bool:
        """For whoever lists branches. That it is gone, or this is no number for it, is no matter."""
        try:
            self._swarm.do(step, verb)
        except DaemonUnavailable:
            raise
        except VertuiError as error:
            self._swarm.say(f"{verb.branch}: {error}")
        return True


def result_of(one: Try, note: str = "") -> SwarmResult:
    """Nothing came of it, as far as is known."""
    return SwarmResult(one.name, one.round, one.command, note=note, parent=one.parent, crossed=one.crossed)
