"""`scripts/bench chain`: a thousand commits in a row of one running branch, and what the last of them cost."""

from fork import timed_fork
from lab import Lab, lab, median
from pause import commits
from report import SAMPLES, Report

COMMITS, QUICK_COMMITS = 1000, 60
PAGES, A_SECOND = 600, 2400
BETWEEN_S = 0.05
CHILDREN, FORKS = 8, 5
MOST_TIMES = 1.5


def measure(quick: bool) -> Report:
    """Pauses and forks at the beginning and at the end."""
    report = Report("commits in a row of one running branch")
    with lab("chain") as found:
        found.client.up("base", "main")
        found.write_pages("main", PAGES, A_SECOND)
        forks = _forks(found)
        count = QUICK_COMMITS if quick else COMMITS
        made = commits(found, "main", count - FORKS - 1, BETWEEN_S)
        pauses = [one.commit.pause_ms for one in made]
        first, last = pauses[:SAMPLES], pauses[-SAMPLES:]
        late = _forks(found)
    _add(report, "pause", f"the first {SAMPLES}", f"the last {SAMPLES} of {count:,}", first, last)
    _add(report, f"fork N={CHILDREN}, all running", "before them", f"after {count:,}", forks, late)
    sealed = [one.to_sealed_ms for one in made[-SAMPLES:] if one.to_sealed_ms]
    report.add_samples("commit sealed, the last", sealed, timed="request received to durable")
    return report


def _add(report: Report, what: str, when: str, later: str, before: list[float], after: list[float]) -> None:
    report.add_samples(f"{what}: {when}", before)
    report.add_samples(f"{what}: {later}", after)
    report.add(f"{what}: times the first", median(after) / median(before), "x", must=MOST_TIMES, promise=11)


def _forks(found: Lab) -> list[float]:
    """When the last of the children ran, in ms, of some forks."""
    return [timed_fork(found, CHILDREN)[0] for _ in range(FORKS)]
