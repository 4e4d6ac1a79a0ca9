"""`scripts/bench handover`: a trunk that has changed much over its life, before and after its hand-over."""

import threading
import time

from lab import SETTLE_S, Lab, lab
from report import SAMPLES, Report, best_of

from core.daemon import streams
from core.model import ExecRequest

CHANGED_MB, QUICK_MB = 300, 60
WRITTEN_PAGES, BETWEEN_S = 700, 0.4
PAUSE_MUST_MS, REBASE_MUST_MS = 15.0, 250.0
DEADLINE_S = 30.0
COUNTER = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done"


class Counting(threading.Thread):
    """An exec stream of a guest's counter, followed all the while."""

    def __init__(self, found: Lab, branch: str) -> None:
        super().__init__(daemon=True)
        self.printed = bytearray()
        self.failure = ""
        self._stream = streams.run(found.home, ExecRequest(branch, ("sh", "-c", COUNTER)))

    def run(self) -> None:
        """Read until the stream is closed or breaks."""
        try:
            for message in self._stream:
                if isinstance(message, streams.Output):
                    self.printed += message.data
        except Exception as error:
            self.failure = str(error)

    def gaps(self) -> int:
        """How many of the counter's lines are missing, repeated or out of order."""
        numbers = [int(line) for line in self.printed.split(b"\n")[:-1]]
        return sum(number != place for place, number in enumerate(numbers, 1)) + (not numbers)


def measure(quick: bool) -> Report:
    """Its pauses and forks on both sides of that, and what the hand-over itself takes."""
    size = QUICK_MB if quick else CHANGED_MB
    report = Report(f"a trunk that has changed {size} MB over its life")
    with lab("handover") as found:
        found.client.up("base", "main")
        counting = Counting(found, "main")
        counting.start()
        found.fill("main", size * 1_000_000)
        found.write_pages("main", WRITTEN_PAGES, WRITTEN_PAGES / BETWEEN_S)
        first = found.fork("main", 1)
        report.add(
            "pause at the first fork",
            first.pause_ms,
            "ms",
            timed="`stop` sent to `cont` returned; all is new",
        )
        found.prune(first)
        process = found.branch("main").pid
        rebased = _await_handover(found, process)
        pauses = best_of(lambda: _pauses(found, 3 if quick else SAMPLES), PAUSE_MUST_MS, quick=quick)
        report.add_samples(
            "pause at a fork, ≤ 1,000 pages changed since the last", pauses, must=PAUSE_MUST_MS, promise=8,
            timed="`stop` sent to `cont` returned; after the hand-over if there was one",
        )  # fmt: skip
        if rebased:
            report.add_samples(
                "hand-over (rebase_ms)", rebased, must=REBASE_MUST_MS, promise=8, timed="as the engine tells"
            )
        else:
            moved = (
                "moved to another process" if found.branch("main").pid != process else "stayed in its process"
            )
            report.notes.append(f"hand-over: the API told no rebase_ms; the trunk {moved}")
        lines = len(counting.printed.split(b"\n"))
        report.add(
            "exec stream: lines lost or repeated",
            counting.gaps(),
            "lines",
            must=0,
            promise=8,
            timed=f"of {lines}",
        )
        if counting.failure:
            report.add("exec streams broken", 1, "streams", must=0, promise=8, timed=counting.failure)
    return report


def _await_handover(found: Lab, process: int | None) -> list[float]:
    """Hand-overs told by the operation log, once the trunk runs in another process; none after the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    told: list[float] = []
    while time.monotonic() < deadline and (found.branch("main").pid == process or not told):
        time.sleep(SETTLE_S)
        told = [float(one) for one in found.told("/v1/log", "rebase_ms")]
    return told


def _pauses(found: Lab, count: int) -> list[float]:
    pauses = []
    for _ in range(count):
        time.sleep(BETWEEN_S)
        forked = found.fork("main", 1)
        pauses.append(forked.pause_ms)
        found.prune(forked)
    return pauses
