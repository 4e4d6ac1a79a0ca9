"""What came of a swarm, as it is recorded and shown."""

from collections.abc import Iterable

from msgspec import Struct

from core.diff.result import DiffSize
from vertui.swarm.spec import SwarmSpec
from vertui.text import natural


class SwarmResult(Struct, frozen=True):
    """What came of one try. Without a `score`, `note` says why; `changed` is what it did to the files it began with,
    None where nobody looked. `parent` is the branch that it was forked from, or the swarm's base, `crossed` the one
    whose files were applied to it; `cost` is the highest that its command told.
    """

    branch: str
    round: int
    command: str
    score: float | None = None
    note: str = ""
    exit_code: int | None = None
    lasted_ms: float | None = None
    changed: DiffSize | None = None
    parent: str = ""
    crossed: str = ""
    cost: float | None = None


class SwarmOutcome(Struct, frozen=True):
    """What came of all, best first. `origin` is the commit of its base, `forked` the one that the first tries came
    from: another, where something was made ready before. `why` says what ended it early or kept it from its aim;
    `answer` is a driver's. `rebased` is the branch that is the trunk in the winner's place, if it was promoted so.
    """

    results: tuple[SwarmResult, ...] = ()
    winner: str = ""
    origin: str = ""
    forked: str = ""
    why: str = ""
    answer: str = ""
    promoted: bool = False
    rebased: str = ""


def ranked(spec: SwarmSpec, results: Iterable[SwarmResult]) -> list[SwarmResult]:
    """Best first; of equal scores the one that was tried first, and those without a score last."""
    sign = 1 if spec.lowest else -1

    def place(one: SwarmResult) -> tuple[bool, float, int, list[str | int]]:
        return one.score is None, sign * (one.score or 0.0), one.round, natural(one.branch)

    return sorted(results, key=place)
