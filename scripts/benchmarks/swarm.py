"""`scripts/bench swarm`: eight variants by a swarm, beside the same commands by hand in machines that run.

By hand each command is run by a `vertui exec` of its own, all at once, until the last has ended. A swarm's time is from
the start of the command `vertui swarm run` to its end: the fork, the commands, the scores, the ranking, and what the
winner changed. Where its time goes is told by the record of its steps.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from lab import SETTLE_S, Lab, lab
from report import Report

from vertui.swarm import record as records

VARIANTS, TURNS = 8, 3
LOOPS, QUICK_LOOPS = 5_000_000, 2_500_000  # some ten and five seconds of an emulated processor
MOST = 1.1  # times what they take by hand
WORK = "import sys\nat = 1\nfor n in range({loops}):\n    at = (at * 31 + n) % 65521\nprint(at + {variant})"
STAGES = ("until its tries were forked", "until all had begun", "from the last score to its end")


def measure(quick: bool) -> Report:
    """By turns: what else the machine does meanwhile slows down both."""
    report = Report(f"a swarm of {VARIANTS} variants")
    loops = QUICK_LOOPS if quick else LOOPS
    variants = [_command(loops, number) for number in range(1, VARIANTS + 1)]
    by_hand: list[float] = []
    swarms: list[float] = []
    stages: list[tuple[float, ...]] = []
    with lab("swarm") as found:
        found.client.up("base", "main")
        for turn in range(1 if quick else TURNS):
            by_hand.append(_by_hand(found, variants))
            took, *parts = _by_swarm(found, variants, turn)
            swarms.append(took)
            stages.append(tuple(parts))
    report.add_samples(
        "by hand, in machines that run already",
        by_hand,
        "s",
        timed="the first `vertui exec` to the last exit",
    )
    report.add_samples("by `vertui swarm run`", swarms, "s", timed="the command's start to its end")
    for stage, samples in zip(STAGES, zip(*stages, strict=True), strict=True):
        report.add_samples(f"of that {stage}", list(samples), "s", timed="the swarm's own record")
    report.add(
        "a swarm, of the commands by hand", statistics.median(swarms) / statistics.median(by_hand), "x", must=MOST,
        promise=5,
    )  # fmt: skip
    return report


def _by_hand(found: Lab, variants: list[str]) -> float:
    """Fork and first command outside the timing."""
    forked = found.fork("main", VARIANTS, "hand-")
    names = [child.name for child in forked.children]
    found.hostnames(names)
    _come_to_rest(found)
    began = time.perf_counter()
    with ThreadPoolExecutor(VARIANTS) as threads:
        list(threads.map(lambda name, line: _vertui(found, "exec", name, "--", line), names, variants))
    took = time.perf_counter() - began
    found.prune(forked)
    return took


def _by_swarm(found: Lab, variants: list[str], turn: int) -> tuple[float, ...]:
    """How long it took, and how long until and after its stages."""
    name = f"swarm{turn}"
    _come_to_rest(found)
    began, clock = time.perf_counter(), time.time()
    asked = ["--name", name, "--base", "main", "--json", "--score", "printed"]
    said = _vertui(
        found, "swarm", "run", *asked, *(word for line in variants for word in ("--variant", line))
    )
    took = time.perf_counter() - began
    told = json.loads(said)
    if any(one["score"] is None for one in told["results"]):
        raise SystemExit(f"the swarm failed: {told}")
    taken = records.look(found.home, name).steps.values()
    last = {
        kind: max(one.time for one in taken if one.step.startswith(kind))
        for kind in ("fork", "start", "result")
    }
    found.client.execute(found.client.plan_prune([one["branch"] for one in told["results"]], True))
    return took, last["fork"] - clock, last["start"] - clock, took - (last["result"] - clock)


def _come_to_rest(found: Lab) -> None:
    """Wait until no earlier fork is sealed any more: whose time is taken next would pay for it."""
    while any(commit.state != "sealed" for commit in found.client.tree().commits):
        time.sleep(0.1)
    time.sleep(SETTLE_S)


def _vertui(found: Lab, *argv: str) -> str:
    """What a command of ours prints; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "vertui", *argv],
        env=os.environ | {"VERTUI_HOME": str(found.home.root)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"`vertui {argv[0]}` failed: {done.stderr}")
    return done.stdout


def _command(loops: int, variant: int) -> str:
    return f"python3 -c '{WORK.format(loops=loops, variant=variant)}'"
