"""Swarms as they are looked at: what their records say, and which process plays them. Nothing is locked for it: that
would be in the way of whoever begins to play.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import VertuiError
from core.home import Home
from vertui.swarm.record import SwarmRecord, look, path_of
from vertui.swarm.results import SwarmOutcome, SwarmResult, ranked
from vertui.swarm.spec import SwarmSpec
from vertui.swarm.steps import ForkedInto
from vertui.text import natural

LOCKS, PROCESSES = Path("/proc/locks"), Path("/proc")
LATER_ROUND = re.compile(
    r"-(\d{1,4})[a-z]\d{1,4}"
)  # behind a swarm's name, in that of a try after the first round
NO_TRY = re.compile(r"-base|-on-trunk\d{1,4}")  # what tries are forked from, and what a winner is brought to
FORK, RESULT = "fork ", "result "


@dataclass(frozen=True)
class SwarmTry:
    """A try: its `place` in the order in which they began, from 1, and the commit that its branch was forked from.
    `refused` says why that did not start; `result` is None before it has one.
    """

    place: int
    branch: str
    round: int
    commit: str
    result: SwarmResult | None = None
    refused: str = ""

    @property
    def score(self) -> float | None:
        """Of its result."""
        return self.result.score if self.result else None


@dataclass(frozen=True)
class SwarmGlance:
    """How far a swarm has come, and the process that plays it, 0 for none. Of a record that cannot be read there is the
    `trouble` alone.
    """

    name: str
    spec: SwarmSpec
    begun: float
    tries: tuple[SwarmTry, ...] = ()
    outcome: SwarmOutcome | None = None
    player: int = 0
    trouble: str = ""

    @property
    def state(self) -> str:
        """As `swarm ls` says it."""
        if self.trouble:
            return "damaged"
        if self.outcome:
            return "promoted" if self.outcome.promoted else "ended"
        return "at work" if self.player else "interrupted"

    @property
    def winner(self) -> str:
        """The branch that won; empty while none has."""
        return self.outcome.winner if self.outcome else ""

    @property
    def results(self) -> list[SwarmResult]:
        """What came of its tries so far, best first."""
        if self.outcome and self.outcome.results:
            return list(self.outcome.results)
        return ranked(self.spec, [one.result for one in self.tries if one.result])

    @property
    def best(self) -> SwarmResult | None:
        """The best of them; None where none has a score."""
        return next((one for one in self.results if one.score is not None), None)

    @property
    def round(self) -> int:
        """Which one it is in, or was last."""
        return max((one.round for one in self.tries), default=0)


def glance_at(home: Home, name: str) -> SwarmGlance:
    """How far a swarm has come. NotFound when there is none."""
    player = player_of(home, name)  # first: what ends meanwhile is seen to have ended
    record = look(home, name)
    outcome = record.ended.outcome if record.ended else None
    return SwarmGlance(name, record.spec, record.begun.time, tuple(_tries(record)), outcome, player)


def glance_or_trouble(home: Home, name: str) -> SwarmGlance:
    """The same; of a record that cannot be read, why."""
    try:
        return glance_at(home, name)
    except VertuiError as error:
        return SwarmGlance(name, SwarmSpec(), 0.0, trouble=str(error))


def player_of(home: Home, name: str) -> int:
    """The process that plays a swarm; 0 for none that can be seen from here."""
    path = path_of(home, name)
    try:
        inode = str(path.stat().st_ino)
        locks = LOCKS.read_text()
    except OSError:
        return 0
    for _, kind, *_, pid, place, _, _ in (
        words for line in locks.split("\n") if len(words := line.split()) == 8
    ):
        if (
            kind == "FLOCK"
            and place.rpartition(":")[2] == inode
            and pid.isdecimal()
            and _has_open(int(pid), path)
        ):
            return int(pid)
    return 0


def _has_open(pid: int, path: Path) -> bool:
    """Has a process this very file open? Numbers of files are alike on several disks. One that may not be asked has."""
    try:
        return any(_same(file, path) for file in (PROCESSES / str(pid) / "fd").iterdir())
    except PermissionError:
        return True
    except OSError:
        return False


def _same(file: Path, path: Path) -> bool:
    try:
        return os.path.samefile(file, path)  # noqa: PTH121 (a closed one is none)
    except OSError:
        return False


def _tries(record: SwarmRecord) -> Iterator[SwarmTry]:
    """In the order in which they began."""
    place = 0
    for step in record.steps:
        if not step.startswith(FORK) or (forked := record.answer(step, ForkedInto)) is None:
            continue
        for name in sorted((*forked.names, *forked.failed), key=natural):
            if NO_TRY.fullmatch(name.removeprefix(record.name)):
                continue
            place += 1
            result = record.answer(f"{RESULT}{name}", SwarmResult)
            round_ = result.round if result else _round_of(record.name, name)
            yield SwarmTry(place, name, round_, forked.commit, result, forked.failed.get(name, ""))


def _round_of(swarm: str, branch: str) -> int:
    found = LATER_ROUND.fullmatch(branch.removeprefix(swarm))
    return int(found[1]) if found else 1
