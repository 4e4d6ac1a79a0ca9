"""`scripts/bench pause`: how long a commit holds the guest, and how long it takes to be hot and sealed."""

import time
from collections.abc import Sequence
from itertools import pairwise

from lab import Lab, lab, median, rss_mb
from report import SAMPLES, Report, best_of

from core.model import Committed

# Pages changed since the last commit, and of them by our program: the rest are the guest's own.
SERIES = ((1000, 600, 8.0, 4.0), (5000, 4400, 15.0, 8.0))
BETWEEN_S = 0.25
FELT_MUST_MS = 30.0


def measure(quick: bool) -> Report:
    """Pause and felt pause by pages changed; a commit's hot and sealed ends beside them."""
    report = Report("pause of a running guest at a commit")
    with lab("pause") as found:
        found.client.up("base", "main")
        for pages, written, must, aim in SERIES:
            _series(report, found, pages, written, must, aim, quick)
        touched = rss_mb(found.branch("main").pid or 0)
        report.notes.append(f"pause: the machine had touched {touched:.0f} MB in all, QEMU's own included")
    return report


def commits(found: Lab, branch: str, count: int, between_s: float = BETWEEN_S) -> list[Committed]:
    """Commits of a branch whose program changes all its pages between two of them. The first is not counted: the
    program's start is in it."""
    made = []
    for _ in range(count + 1):
        time.sleep(between_s)
        made.append(found.client.commit(branch))
    return made[1:]


def _series(
    report: Report, found: Lab, pages: int, written: int, must: float, aim: float, quick: bool
) -> None:
    found.write_pages("main", written, written / BETWEEN_S)
    kept: list[Sequence[Committed]] = []

    def once() -> list[float]:
        kept.append(commits(found, "main", 5 if quick else SAMPLES))
        return [one.commit.pause_ms for one in kept[-1]]

    pauses = best_of(once, must, quick=quick)
    made = next(one for one in kept if [commit.commit.pause_ms for commit in one] == list(pauses))
    found.stop_writing("main")
    ids = [one.commit.id for one in made[-6:]]
    changed = median([found.changed_between(a, b) for a, b in pairwise(ids)])
    name = f"≤ {pages:,} pages changed"
    report.add_samples(
        f"pause, {name}", pauses, must=must, aim=aim, promise=1, timed="`stop` sent to `cont` returned"
    )
    felt = [one.commit.felt_pause_ms for one in made]
    report.add_samples(
        f"felt pause, {name}",
        felt,
        must=FELT_MUST_MS,
        promise=1,
        timed="processes frozen to thawed, as the engine tells",
    )
    report.add_samples(
        f"commit hot, {name}", [one.to_hot_ms for one in made], timed="request received to state read"
    )
    report.add_samples(
        f"commit sealed, {name}",
        [one.to_sealed_ms for one in made if one.to_sealed_ms],
        timed="request received to durable",
    )
    report.notes.append(f"{name}: {changed:.0f} by the tables of two commits that follow each other")
