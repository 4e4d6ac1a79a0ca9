"""`scripts/bench programs`: what a program that drives vertui pays, beside the command line: to import it, to fork."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harnesses import HARBOR, HARNESSES, INSPECT_AI, MINI_SWE_AGENT, Asked, Fork, is_installed
from lab import Lab, lab
from mcp import Client, StdioServerParameters
from report import SAMPLES, Report, timed_ms

from vertui.sdk import SyncVertui

IMPORT_MUST_MS, OVER_CLI_MUST = 120.0, 1.2
CHILDREN = 8
TYPED, OF_COMMIT, SDK, MCP = "`vertui fork BRANCH`", "`vertui fork COMMIT`", "SDK", "`vertui mcp`"
BESIDE = {SDK: TYPED, MCP: TYPED, MINI_SWE_AGENT: TYPED, INSPECT_AI: OF_COMMIT, HARBOR: OF_COMMIT}
"""Ways of programs, and the command that does the same."""
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
    for name, typed in BESIDE.items():
        if name not in times:
            report.notes.append(f"fork by {name}: not measured, as it is not installed")
            continue
        over = statistics.median(times[name]) / statistics.median(times[typed])
        report.add(f"fork N={CHILDREN} by {name}, over {typed}", over, "x", must=OVER_CLI_MUST)
    return report


def imported(what: str) -> float:
    """How long an import takes, ms, in a new process."""
    argv = [sys.executable, "-c", TIMED.format(what)]
    return float(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


async def _forks(found: Lab, count: int) -> dict[str, list[float]]:
    v, times = SyncVertui(found.client), dict[str, list[float]]()
    environment = os.environ | {"VERTUI_HOME": str(found.home.root)}
    started = StdioServerParameters(command=sys.executable, args=["-m", "vertui", "mcp"], env=environment)
    with tempfile.TemporaryDirectory() as place:
        commit = v.branch("main").commit("warm").commit.id
        asked = Asked(str(found.home.root), "main", commit, CHILDREN, Path(place))
        async with Client(started) as agent:
            ways = _ways(v, agent, asked, environment)
            for typed in (TYPED, OF_COMMIT):  # not by turns: the pool waits for what was forked last
                turn = [ways[typed], *(fork for name, fork in ways.items() if BESIDE.get(name) == typed)]
                for fork in turn * count:
                    for name, taken in (await fork()).items():
                        times.setdefault(name, []).append(taken)
                    _prune(v)
    return times


def _ways(v: SyncVertui, agent: Client, asked: Asked, environment: dict[str, str]) -> dict[str, Fork]:
    """By the command line and by programs."""
    base = v.branch(asked.branch)

    async def typed() -> dict[str, float]:
        return {TYPED: timed_ms(lambda: _typed(asked.branch, environment))}

    async def typed_of_commit() -> dict[str, float]:
        return {OF_COMMIT: timed_ms(lambda: _typed(asked.commit, environment))}

    async def sdk() -> dict[str, float]:
        return {SDK: timed_ms(lambda: base.fork(CHILDREN))}

    async def mcp() -> dict[str, float]:
        began = time.perf_counter()
        answer = await agent.call_tool("fork", {"ref": asked.branch, "n": CHILDREN})
        taken = (time.perf_counter() - began) * 1000
        assert not answer.is_error, answer.content
        return {MCP: taken}

    harnesses = {name: make(asked) for name, make in HARNESSES.items() if is_installed(name)}
    return {TYPED: typed, OF_COMMIT: typed_of_commit, SDK: sdk, MCP: mcp} | harnesses


def _prune(v: SyncVertui) -> None:
    v.prune(tuple(branch.name for branch in v.branches() if branch.name != "main"), now=True)


def _typed(ref: str, environment: dict[str, str]) -> None:
    argv = [sys.executable, "-m", "vertui", "fork", ref, "-n", str(CHILDREN), "--json"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    assert len(json.loads(done.stdout)["children"]) == CHILDREN
