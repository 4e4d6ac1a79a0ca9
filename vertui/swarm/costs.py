"""What tries cost, as their commands say it while they run, and what becomes of those that cost too much.

A command tells what it has cost until now by lines that the spec's pattern finds a number in; the highest counts. It is
read as it is printed, so that a limit holds while the command runs. It is killed once it has cost more than a try
may; and so are all, once they have cost more than the whole swarm may.
"""

import math
import re
import threading

from msgspec.structs import replace

from core.errors import VertuiError
from core.patience import patient
from vertui.swarm.results import SwarmResult
from vertui.swarm.steps import Swarm

LONGEST_LINE = 4096  # bytes; what is longer tells no cost
READ_S = patient(10.0)  # for the rest of what a command printed, once it has ended


class CostMeter:
    """The costs of a swarm's tries. Without a pattern nothing is read, and nothing costs anything."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm, self._spec = swarm, swarm.record.spec
        self._pattern = re.compile(self._spec.cost.encode()) if self._spec.cost else None
        self._costs: dict[str, float] = {}
        self._readers: dict[str, tuple[threading.Thread, int]] = {}
        self._lock = threading.Lock()

    def follow(self, branch: str, command: int) -> None:
        """Read what a command prints until it ends, in a thread."""
        if self._pattern is None:
            return
        reader = threading.Thread(target=self._read, args=(branch, command), daemon=True)
        self._readers[branch] = reader, command
        reader.start()

    def charged(self, result: SwarmResult) -> SwarmResult:
        """A result with what it cost; it is no longer good when that is more than a try may."""
        if (found := self._readers.get(result.branch)) is None:
            return result
        found[0].join(READ_S)
        cost, most = self._costs.get(result.branch), self._spec.cost_limit_each
        if cost is not None and most is not None and cost > most:
            return replace(result, cost=cost, score=None, note=f"it cost {cost:g}, more than {most:g}")
        return replace(result, cost=cost)

    def spent(self, result: SwarmResult) -> None:
        """A result is recorded: what it cost is spent, also where that was before the swarm was killed."""
        if result.cost is not None:
            with self._lock:
                self._costs[result.branch] = result.cost

    def stop(self, branch: str) -> None:
        """Kill a command that would cost more."""
        if (found := self._readers.get(branch)) is not None:
            self._kill(branch, found[1])

    def why_over(self) -> str:
        """More was spent than the whole swarm may."""
        most = self._spec.cost_limit
        with self._lock:
            spent = sum(self._costs.values())
        return f"tries cost {spent:g}, more than {most:g}" if most is not None and spent > most else ""

    def _read(self, branch: str, command: int) -> None:
        begun: dict[int, bytes] = {}

        def heard(stream: int, data: bytes) -> None:
            *lines, rest = (begun.get(stream, b"") + data).split(b"\n")
            begun[stream] = rest[: LONGEST_LINE + 1]
            for line in lines:
                self._line(branch, command, line)

        try:
            self._swarm.hands.listen(branch, command, heard)
        except VertuiError as error:
            self._swarm.say(f"{branch}: what it costs is not heard any more: {error}")
        for rest in begun.values():  # a last line without an end
            self._line(branch, command, rest)

    def _line(self, branch: str, command: int, line: bytes) -> None:
        if self._pattern is None or len(line) > LONGEST_LINE:
            return
        for match in self._pattern.finditer(line):
            if (cost := _number(match[1 if self._pattern.groups else 0])) is not None:
                self._add(branch, command, cost)

    def _add(self, branch: str, command: int, cost: float) -> None:
        with self._lock:
            before = self._costs.get(branch, 0.0)
            self._costs[branch] = max(before, cost)
        most = self._spec.cost_limit_each
        if most is not None and before <= most < cost:
            self._kill(branch, command)
        if self.why_over():
            self._swarm.hands.wake()

    def _kill(self, branch: str, command: int) -> None:
        try:
            self._swarm.hands.kill(branch, command)
        except VertuiError as error:
            self._swarm.say(f"{branch}: {error}")


def _number(told: bytes | None) -> float | None:
    try:
        value = float(told or b"")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
