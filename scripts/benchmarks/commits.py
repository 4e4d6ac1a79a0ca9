"""`scripts/bench commits`: forks of commits, with a spare and without."""

import os
import time
from pathlib import Path

from lab import Lab, lab
from report import SAMPLES, Report, best_of

BUSY = 8
RUN_TIMED = "request received to `cont` returned"
ANSWER_TIMED = "request sent to the answer: durable, identity confirmed"


def measure(quick: bool) -> Report:
    """With a spare that waits, and where nothing was made ready for it."""
    report = Report("fork of a commit into one")
    with lab("commits") as found:
        if not found.await_spares():
            report.notes.append("commits: no machine waits in the background here, so nothing was made ready")
        count = 5 if quick else SAMPLES
        _add_ready(report, found, "with a spare, no other machine", count, (1.0, 0.258), quick)
        busy = found.fork(found.golden, BUSY, "busy", "while :; do :; done")
        _add_ready(report, found, f"with a spare, {BUSY} busy machines", count, (15.0, None), quick)
        found.prune(busy)
        found.client.up("base", "main")
        _add_unready(report, found, count)
    return report


def _add_ready(
    report: Report, found: Lab, name: str, count: int, wanted: tuple[float, float | None], quick: bool
) -> None:
    """The golden commit, which the engine expects to be forked; before each fork it may make ready what it likes."""
    answers: list[float] = []

    def once() -> list[float]:
        runs, answers[:] = [], []
        for _ in range(count):
            found.await_spares()
            run, answer = _fork(found, found.golden)
            runs.append(run)
            answers.append(answer)
        return runs

    runs = best_of(once, wanted[0], quick=quick)
    report.add_samples(f"{name}: running", runs, must=wanted[0], aim=wanted[1], promise=3, timed=RUN_TIMED)
    report.add_samples(f"{name}: answer", answers, timed=ANSWER_TIMED)


def _add_unready(report: Report, found: Lab, count: int) -> None:
    """Commits that are neither golden, nor a head, nor forked before."""
    found.write_pages("main", 1000, 4000)
    made = []
    for _ in range(count + 1):
        time.sleep(0.3)
        made.append(found.client.commit("main").commit.id)
    found.stop_writing("main")
    rows = [_fork(found, commit) for commit in made[:-1]]
    report.add_samples("without a spare: running", [run for run, _ in rows], timed=RUN_TIMED)
    report.add_samples("without a spare: answer", [answer for _, answer in rows], timed=ANSWER_TIMED)


def forget(root: Path) -> None:
    """Let the page cache forget the files of a home."""
    os.sync()
    for path in root.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def _fork(found: Lab, commit: str) -> tuple[float, float]:
    began = time.perf_counter()
    forked = found.fork(commit, 1, "g")
    answer = (time.perf_counter() - began) * 1000
    found.prune(forked)
    return forked.children[0].run_ms, answer
