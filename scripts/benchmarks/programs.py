"""`scripts/bench programs`: what a program that drives vertui pays, beside the command line: to import it, to fork."""

import json
import os
import statistics
import subprocess
import sys

from lab import Lab, lab
from report import SAMPLES, Report, timed_ms

from vertui.sdk import SyncVertui

IMPORT_MUST_MS, OVER_CLI_MUST = 120.0, 1.2
CHILDREN = 8
TIMED = "import time; began = time.perf_counter(); import {}; print((time.perf_counter() - began) * 1000)"


def measure(quick: bool) -> Report:
    """Imports in processes of their own, the two kinds in turn; forks by each way in turn, pruned before the next."""
    report = Report("driven by programs")
    imports = [(imported("vertui.sdk"), imported("asyncio, json")) for _ in range(3 if quick else SAMPLES)]
    ours, beside = [one for one, _ in imports], [one for _, one in imports]
    report.add_samples(
        "import vertui.sdk", ours, must=IMPORT_MUST_MS, timed="the statement alone, files cached"
    )
    report.add_samples("import asyncio, json", beside, timed="the same")
    ratio = statistics.median(one / other for one, other in imports)
    report.add("import vertui.sdk, over asyncio and json", ratio, "x", timed="pair by pair, the middle one")
    with lab("programs") as found:
        found.client.up("base", "main")
        _add_forks(report, found, 2 if quick else 10)
    return report


def imported(what: str) -> float:
    """How long an import takes, ms, in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(what)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def _add_forks(report: Report, found: Lab, count: int) -> None:
    v = SyncVertui(found.client)
    base = v.branch("main")
    ways = {"`vertui fork`": lambda: _typed(found), "SDK": lambda: base.fork(CHILDREN)}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(count):
        for name, fork in ways.items():
            times[name].append(timed_ms(fork))
            v.prune(tuple(branch.name for branch in v.branches() if branch.name != "main"), now=True)
    for name, taken in times.items():
        report.add_samples(f"fork N={CHILDREN} by {name}", taken, timed="asked for to answered")
    typed = statistics.median(times["`vertui fork`"])
    for name in [*ways][1:]:
        over = statistics.median(times[name]) / typed
        report.add(f"fork N={CHILDREN} by {name}, over the command line", over, "x", must=OVER_CLI_MUST)


def _typed(found: Lab) -> None:
    environment = os.environ | {"VERTUI_HOME": str(found.home.root)}
    argv = [sys.executable, "-m", "vertui", "fork", "main", "-n", str(CHILDREN), "--json"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    assert len(json.loads(done.stdout)["children"]) == CHILDREN
