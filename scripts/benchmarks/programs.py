"""`scripts/bench programs`: what a program that drives vertui pays, beside the command line: to import it, to fork."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time

from lab import Lab, lab
from mcp import Client, StdioServerParameters
from report import SAMPLES, Report, timed_ms

from vertui.sdk import SyncVertui

IMPORT_MUST_MS, OVER_CLI_MUST = 120.0, 1.2
CHILDREN = 8
TYPED, SDK, MCP = "`vertui fork`", "SDK", "`vertui mcp`"
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
        times = asyncio.run(_forks(found, 2 if quick else 10))
    for name, taken in times.items():
        report.add_samples(f"fork N={CHILDREN} by {name}", taken, timed="asked for to answered")
    for name in (SDK, MCP):
        over = statistics.median(times[name]) / statistics.median(times[TYPED])
        report.add(f"fork N={CHILDREN} by {name}, over the command line", over, "x", must=OVER_CLI_MUST)
    return report


def imported(what: str) -> float:
    """How long an import takes, ms, in a new process."""
    argv = [sys.executable, "-c", TIMED.format(what)]
    return float(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


async def _forks(found: Lab, count: int) -> dict[str, list[float]]:
    v = SyncVertui(found.client)
    base, times = v.branch("main"), {name: list[float]() for name in (TYPED, SDK, MCP)}
    environment = os.environ | {"VERTUI_HOME": str(found.home.root)}
    started = StdioServerParameters(command=sys.executable, args=["-m", "vertui", "mcp"], env=environment)
    async with Client(started) as agent:
        for _ in range(count):
            times[TYPED].append(timed_ms(lambda: _typed(environment)))
            _prune(v)
            times[SDK].append(timed_ms(lambda: base.fork(CHILDREN)))
            _prune(v)
            began = time.perf_counter()
            answer = await agent.call_tool("fork", {"ref": "main", "n": CHILDREN})
            times[MCP].append((time.perf_counter() - began) * 1000)
            assert not answer.is_error, answer.content
            _prune(v)
    return times


def _prune(v: SyncVertui) -> None:
    v.prune(tuple(branch.name for branch in v.branches() if branch.name != "main"), now=True)


def _typed(environment: dict[str, str]) -> None:
    argv = [sys.executable, "-m", "vertui", "fork", "main", "-n", str(CHILDREN), "--json"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    assert len(json.loads(done.stdout)["children"]) == CHILDREN
