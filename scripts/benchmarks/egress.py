"""`scripts/bench egress`: what a rule of egress costs a fork, and how long a change of one takes."""

import statistics
from functools import partial

from fork import timed_fork
from lab import Lab, lab
from report import Report, timed_ms

from core.verbs.egress import Egress, Mode

CHILDREN, SAMPLES, CHANGES = 8, 15, 20
CHURN_PAGES, CHURN_A_SECOND = 2500, 2000
RULES = ("deb.debian.org:80", "*.example.org:443", "192.0.2.0/24")
MOST = 1.1  # of a fork without


def measure(quick: bool) -> Report:
    """Forks with egress and without, turn and turn about; then the rule alone."""
    report = Report("Egress")
    with lab("egress") as found:
        found.client.up("base", "main")
        found.write_pages("main", CHURN_PAGES, CHURN_A_SECOND)
        without: list[float] = []
        ruled: list[float] = []
        for _ in range(3 if quick else SAMPLES):
            _let(found, "off")
            without.append(timed_fork(found, CHILDREN)[1])
            _let(found, "allow", *RULES)
            ruled.append(timed_fork(found, CHILDREN)[1])
        timed = "request received to identity confirmed of the last child"
        report.add_samples(f"fork N={CHILDREN}, egress off", without, timed=timed)
        report.add_samples(f"fork N={CHILDREN}, egress by rules", ruled, timed=timed)
        over = statistics.median(ruled) / statistics.median(without)
        report.add(f"fork N={CHILDREN} with egress, of one without", over, "x", must=MOST)
        counts = [1 + number % len(RULES) for number in range(5 if quick else CHANGES)]
        changes = [timed_ms(partial(_let, found, "allow", *RULES[:count])) for count in counts]
        report.add_samples("change of a rule", changes, timed="request sent to answer")
    return report


def _let(found: Lab, mode: Mode, *rules: str) -> None:
    found.client.do(Egress("main", mode, rules))
