"""`scripts/bench fork`: live forks back to back, the parent changing pages meanwhile; and what the world costs them."""

import statistics
import time

from lab import Lab, lab
from report import SAMPLES, Report, best_of

from core.verbs.egress import Egress
from core.verbs.publish import Publish
from core.verbs.unpublish import Unpublish

CHURN_PAGES, CHURN_A_SECOND = 2500, 2000
COUNTS = {1: SAMPLES, 4: SAMPLES, 8: SAMPLES, 32: 5}  # 32: several seconds each
QUICK = {1: 3, 4: 2, 8: 3}
RUN = {1: (60.0, 20.0), 8: (250.0, 110.0)}  # must, aim
READY = {8: (2500.0, 1000.0)}
RULES = ("deb.debian.org:80", "*.example.org:443", "192.0.2.0/24")
PORTS = ("8000", "53/udp")
WORLDLY, PAIRS, MOST = 8, 15, 1.1  # children; forks with and without, by turns; times a fork without


def measure(quick: bool) -> Report:
    """Into one and into several, and what the parent feels of it."""
    report = Report("live fork of a running branch into N")
    with lab("fork") as found:
        found.client.up("base", "main")
        found.write_pages("main", CHURN_PAGES, CHURN_A_SECOND)
        report.add(
            "parent changes meanwhile",
            found.rate("main"),
            "pages/s",
            timed="the program's own count, over 2 s before",
        )
        for n, count in (QUICK if quick else COUNTS).items():
            add_series(report, found, n, count, quick)
        add_worldly(report, found, 3 if quick else PAIRS)
        changed = found.branch("main").changed_bytes / 1e6
        report.notes.append(f"forks: back to back; the parent differed from its base by {changed:.1f} MB")
    return report


def add_series(report: Report, found: Lab, n: int, count: int, quick: bool) -> None:
    """All ends of `count` forks into n."""
    ready: dict[tuple[float, ...], list[tuple[float, float, float, float]]] = {}

    def once() -> list[float]:
        rows = [timed_fork(found, n) for _ in range(count)]
        runs = [row[0] for row in rows]
        ready[tuple(runs)] = rows
        return runs

    must, aim = RUN.get(n, (None, None))
    runs = best_of(once, must, quick=quick)
    _, confirmed, named, pauses = zip(*ready[tuple(runs)], strict=True)
    report.add_samples(
        f"fork N={n}: all running",
        runs,
        must=must,
        aim=aim,
        promise=2,
        timed="request received to `cont` returned of the last child",
    )
    must, aim = READY.get(n, (None, None))
    report.add_samples(
        f"fork N={n}: all distinct and answering", confirmed, must=must, aim=aim, promise=2,
        timed="request received to identity confirmed of the last child",
    )  # fmt: skip
    report.add_samples(
        f"fork N={n}: `hostname` of all",
        named,
        timed="request sent to the output of `hostname` in the last child",
    )
    report.add_samples(f"fork N={n}: parent's pause", pauses, timed="`stop` sent to `cont` returned")


def add_worldly(report: Report, found: Lab, count: int) -> None:
    """Forks of a branch with rules of egress and published ports beside forks of the same one without, turn and turn
    about: what else the machine does meanwhile slows down both.
    """
    without: list[float] = []
    worldly: list[float] = []
    for _ in range(count):
        without.append(timed_fork(found, WORLDLY)[1])
        found.client.do(Egress("main", "allow", RULES))
        found.client.do(Publish("main", PORTS))
        worldly.append(timed_fork(found, WORLDLY)[1])
        found.client.do(Unpublish("main"))
        found.client.do(Egress("main", "off", ()))
    timed = "request received to identity confirmed of the last child"
    report.add_samples(f"fork N={WORLDLY} by turns, no egress and no ports", without, timed=timed)
    report.add_samples(f"fork N={WORLDLY} by turns, egress and {len(PORTS)} ports", worldly, timed=timed)
    report.add(
        f"fork N={WORLDLY} with egress and ports, of one without",
        statistics.median(worldly) / statistics.median(without),
        "x",
        must=MOST,
    )


def timed_fork(found: Lab, n: int) -> tuple[float, float, float, float]:
    """Running, confirmed, named, and the parent's pause, in ms; the children end outside the timing."""
    began = time.perf_counter()
    forked = found.fork("main", n)
    names = [child.name for child in forked.children]
    if (seen := found.hostnames(names)) != names:
        raise SystemExit(f"children of {names} call themselves {seen}")
    named = (time.perf_counter() - began) * 1000
    found.prune(forked)
    children = forked.children
    return (
        max(child.run_ms for child in children),
        max(child.fork_ms for child in children),
        named,
        forked.pause_ms,
    )
