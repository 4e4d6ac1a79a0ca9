"""`scripts/bench memory`: what a branch takes, read from the kernel's own books."""

import time

import psutil
from lab import Lab, lab, pss_mb
from report import Report

SIBLINGS = 8
LATER_S = 60.0
EXEC_MUST_MB, EXEC_AIM_MB = 45.0, 35.0
SPARE_MUST_MB, SPARE_AIM_MB = 20.0, 16.0
TIMED = "proportional set size (smaps_rollup), each process of the fork"


def measure(quick: bool) -> Report:
    """What one of several siblings takes, by what it has done."""
    report = Report(f"memory of a branch, one of {SIBLINGS + 1} siblings")
    with lab("memory") as found:
        found.client.up("base", "main")
        alone = found.fork(found.golden, 1, "alone")
        _add(report, found, "alone, just started", ["alone"])
        found.hostnames(["alone"])
        _add(report, found, "alone, after an exec", ["alone"])
        found.prune(alone)
        names = [child.name for child in found.fork("main", SIBLINGS + 1).children]
        _add(report, found, "child, just started", names)
        found.hostnames(names)
        _add(report, found, "child, after one exec", names, EXEC_MUST_MB, EXEC_AIM_MB)
        time.sleep(2.0 if quick else LATER_S)
        _add(report, found, f"child, {LATER_S:.0f} s later", names)
        found.await_spares()
        waiting = [pss_mb(pid) for pid in found.waiting()]
        report.add_samples(
            "spares and warm processes",
            waiting,
            "MB",
            must=SPARE_MUST_MB,
            aim=SPARE_AIM_MB,
            promise=4,
            timed=TIMED,
        )
        for pid, name in ((pid, _name(pid)) for pid in found.servers()):
            report.notes.append(f"memory of {name}: {pss_mb(pid):.0f} MB")
    return report


def _add(
    report: Report,
    found: Lab,
    name: str,
    branches: list[str],
    must: float | None = None,
    aim: float | None = None,
) -> None:
    pids = [branch.pid for branch in found.client.tree().branches if branch.name in branches]
    samples = [pss_mb(pid) for pid in pids if pid]
    report.add_samples(name, samples, "MB", must=must, aim=aim, promise=4 if must else None, timed=TIMED)


def _name(pid: int) -> str:
    words = psutil.Process(pid).cmdline()
    return next((word for word in words if word.startswith("core.")), words[0])
