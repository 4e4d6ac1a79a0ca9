"""`scripts/bench sustained`: starts a minute, each machine ended once counted."""

import time

from lab import Lab, lab
from report import Report

LASTS_S = 60.0
BATCH = 8
RUNNING = 600.0, 1200.0  # must, aim
CONFIRMED = 240.0, 600.0


def measure(quick: bool) -> Report:
    """Starts running are counted by the forks' own clocks, the rest of a start left out: the client's
    answer comes only once a child is confirmed."""
    report = Report(f"starts a minute, sustained for {LASTS_S:.0f} s")
    with lab("sustained") as found:
        found.client.up("base", "main")
        started, running_s, all_s = _start_for(found, 5.0 if quick else LASTS_S)
    report.add(
        "running", started / running_s * 60, "/min", must=RUNNING[0], aim=RUNNING[1], at_least=True, promise=6,
        timed=f"forks into {BATCH} of one commit, request to `cont` returned of the last, and their prune",
    )  # fmt: skip
    report.add(
        "distinct and answering", started / all_s * 60, "/min", must=CONFIRMED[0], aim=CONFIRMED[1], at_least=True,
        promise=6, timed="the same to identity confirmed: starts counted by the wall clock",
    )  # fmt: skip
    return report


def _start_for(found: Lab, seconds: float) -> tuple[int, float, float]:
    """Machines started, and what that took to running and to confirmed, their ends included."""
    commit = found.golden
    started, waited_s, began = 0, 0.0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        forked = found.fork(commit, BATCH)
        waited_s += (
            max(child.fork_ms for child in forked.children) - max(child.run_ms for child in forked.children)
        ) / 1000
        found.prune(forked)
        started += BATCH
    all_s = time.perf_counter() - began
    return started, all_s - waited_s, all_s
