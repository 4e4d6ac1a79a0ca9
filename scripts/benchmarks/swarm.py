"""`scripts/bench swarm`: eight variants by a swarm, beside the same commands by hand in machines that run.

By hand each command is run by a client of its own, all at once, until the last has ended. A swarm's time is from the
start of the command `vertui swarm run` to its end: the fork, the commands, the scores, and what each changed.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from lab import Lab, lab
from report import Report

VARIANTS, TURNS = 8, 3
LOOPS, QUICK_LOOPS = 5_000_000, 400_000  # some ten seconds of an emulated processor; it tries the program
MOST = 1.1  # times what they take by hand
WORK = "import sys\nat = 1\nfor n in range({loops}):\n    at = (at * 31 + n) % 65521\nprint(at + {variant})"


def measure(quick: bool) -> Report:
    """By turns: what else the machine does meanwhile slows down both."""
    report = Report(f"a swarm of {VARIANTS} variants")
    loops = QUICK_LOOPS if quick else LOOPS
    variants = [_command(loops, number) for number in range(1, VARIANTS + 1)]
    by_hand: list[float] = []
    swarms: list[float] = []
    with lab("swarm") as found:
        found.client.up("base", "main")
        for turn in range(1 if quick else TURNS):
            by_hand.append(_by_hand(found, variants))
            swarms.append(_by_swarm(found, variants, turn))
    report.add_samples(
        "by hand, in machines that run already", by_hand, "s", timed="first request to last exit"
    )
    report.add_samples("by `vertui swarm run`", swarms, "s", timed="the command's start to its end")
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
    began = time.perf_counter()
    with ThreadPoolExecutor(VARIANTS) as threads:
        list(threads.map(lambda name, line: found.text(name, "sh", "-c", line), names, variants))
    took = time.perf_counter() - began
    found.prune(forked)
    return took


def _by_swarm(found: Lab, variants: list[str], turn: int) -> float:
    name = f"swarm{turn}"
    argv = [sys.executable, "-m", "vertui", "swarm", "run", "--name", name, "--base", "main", "--json"]
    argv += ["--score", "printed"]
    argv += [word for line in variants for word in ("--variant", line)]
    began = time.perf_counter()
    done = subprocess.run(
        argv,
        env=os.environ | {"VERTUI_HOME": str(found.home.root)},
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.perf_counter() - began
    told = json.loads(done.stdout or "{}")
    if done.returncode or any(one["score"] is None for one in told["results"]):
        raise SystemExit(f"the swarm failed: {done.stderr or told}")
    names = [one["branch"] for one in told["results"]]
    found.client.execute(found.client.plan_prune(names, True))
    return took


def _command(loops: int, variant: int) -> str:
    return f"python3 -c '{WORK.format(loops=loops, variant=variant)}'"
