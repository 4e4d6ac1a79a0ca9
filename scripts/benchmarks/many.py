"""`scripts/bench many`: a hundred branches of one commit at once, and what idle ones cost."""

import time

import psutil
from lab import Lab, cpu_s, lab
from report import Report, timed_ms

MANY, IDLE, BATCH = 100, 64, 25
SETTLED_S, WATCHED_S = 15.0, 30.0
IDLE_MUST_PERCENT = 3.0
LS_MUST_MS = 1000.0


def measure(quick: bool) -> Report:
    """How soon all of them run, and what those take that do nothing."""
    many, idle = (16, 8) if quick else (MANY, IDLE)
    report = Report(f"{many} branches of one commit at once")
    with lab("many") as found:
        swapped = psutil.swap_memory().sout
        began = time.perf_counter()
        forked = found.fork(found.golden, many)
        report.add("fork: all distinct and answering", max(child.fork_ms for child in forked.children), "ms")
        names = [child.name for child in forked.children]
        silent = sum(
            seen != name
            for at in range(0, many, BATCH)
            for name, seen in zip(
                names[at : at + BATCH], found.hostnames(names[at : at + BATCH]), strict=True
            )
        )
        report.add(
            "`hostname` of all",
            time.perf_counter() - began,
            "s",
            timed="request sent to the last one's output",
        )
        report.add("do not answer", silent, "branches", must=0, promise=7)
        report.add("swapped out meanwhile", psutil.swap_memory().sout - swapped, "B", must=0, promise=7)
        listed = [timed_ms(found.client.tree) for _ in range(5 if quick else 30)]
        report.add_samples(
            f"the tree of {many}",
            listed,
            must=LS_MUST_MS,
            promise=7,
            timed="what `ls` and the UI ask, request to answer",
        )
        found.client.execute(found.client.plan_prune(names[idle:], True))
        _add_idle(report, found, idle, quick)
    return report


def _add_idle(report: Report, found: Lab, idle: int, quick: bool) -> None:
    time.sleep(2.0 if quick else SETTLED_S)
    watched = 3.0 if quick else WATCHED_S
    before = {pid: cpu_s(pid) for pid in found.servers()}
    time.sleep(watched)
    used = sum(cpu_s(pid) - was for pid, was in before.items() if psutil.pid_exists(pid))
    report.add(
        f"daemon, holder, view server beside {idle} idle", used / watched * 100, "%", must=IDLE_MUST_PERCENT, promise=7,
        timed=f"user and system time of all of the home's processes but machines, over {watched:.0f} s, of one core",
    )  # fmt: skip
