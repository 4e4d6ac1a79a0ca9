"""The two ways back into a session, side by side: resumed from its suspension, and its journal's commands run again.

A step is what an agent does between two thoughts, as cheap as there are such: a file is added to, and a Python program
reads it. Whatever takes longer makes a replay longer, and a resume not.
"""

import os
import signal
import time

from lab import Lab, lab
from report import Report, timed_ms

from core.daemon import streams
from core.journal.recovered import StepEnd
from core.model import BranchState, ExecRequest

COUNTS, QUICK_COUNTS = (10, 100, 1000), (3, 10)
SAMPLES, QUICK_SAMPLES = 10, 3
TIMES_FASTER, AT = 20, 100  # so much faster at so many steps
LOST_WITHIN_S = 30.0
STEP = 'echo "step $N" >> /root/log; python3 -c \'print(len(open("/root/log").read()))\''


def add_resumed(report: Report, quick: bool) -> None:
    """Both ways from the same commit."""
    with lab("resuming") as found:
        found.client.up("base", "main")
        base = found.client.commit("main", "base").commit.id
        found.client.suspend("main")
        for count in QUICK_COUNTS if quick else COUNTS:
            _add(report, found, base, count, QUICK_SAMPLES if quick else SAMPLES)


def _add(report: Report, found: Lab, base: str, count: int, samples: int) -> None:
    name, client = f"s{count}", found.client
    client.fork(base, 1, name)
    for number in range(count):
        request = ExecRequest(name, ("sh", "-c", STEP), {"N": str(number)}, lossless=True)
        with streams.run(found.home, request) as stream:
            for _ in stream:
                pass
    done = found.text(name, "cat", "/root/log")
    _kill(found, name)
    replay_ms = timed_ms(lambda: _replay(found, name, count))
    if found.text(name, "cat", "/root/log") != done:
        raise SystemExit(f"a replay of {count} steps came to something else")
    resumes = list[float]()
    for _ in range(samples):
        client.suspend(name)
        resumes.append(timed_ms(lambda: client.resume(name)))
    client.execute(client.plan_prune([name], True))
    report.add_samples(
        f"session of {count} steps: resumed from suspension",
        resumes,
        timed="asked to its processes running on",
    )
    report.add(
        "replayed from its journal", replay_ms / 1000, "s",
        timed="`recover --replay` of a machine that was killed, to the last step's end",
    )  # fmt: skip
    middle = sorted(resumes)[len(resumes) // 2]
    report.add(
        "resumed sooner by a factor of", replay_ms / middle, "", must=TIMES_FASTER if count == AT else None,
        at_least=True, promise=2, timed="replayed beside resumed",
    )  # fmt: skip


def _kill(found: Lab, name: str) -> None:
    pid = found.branch(name).pid
    if pid is None:
        raise SystemExit(f"{name} has no machine")
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + LOST_WITHIN_S
    while found.branch(name).state is not BranchState.LOST:
        if time.monotonic() > until:
            raise SystemExit(f"{name} was killed, and is not lost after {LOST_WITHIN_S:g} s")
        time.sleep(0.05)


def _replay(found: Lab, name: str, count: int) -> None:
    """Of all steps, and the one that read the log; each must end as it had."""
    done = found.client.recover(name, replay=True)
    ends = [step.end for step in done.steps]
    if ends != [StepEnd.SAME] * (count + 1):
        raise SystemExit(
            f"of {count + 1} commands {ends.count(StepEnd.SAME)} ended as they had: {done.stopped}"
        )
