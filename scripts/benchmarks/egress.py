"""`scripts/bench egress`: how long a change of a rule takes. What rules cost a fork, `scripts/bench fork` measures."""

from functools import partial

from fork import RULES
from lab import lab
from report import Report, timed_ms

from core.verbs.egress import Egress

CHANGES = 20


def measure(quick: bool) -> Report:
    """Of a running branch."""
    report = Report("Egress")
    with lab("egress") as found:
        found.client.up("base", "main")
        counts = [1 + number % len(RULES) for number in range(5 if quick else CHANGES)]
        changes = [
            timed_ms(partial(found.client.do, Egress("main", "allow", RULES[:count]))) for count in counts
        ]
        report.add_samples("change of a rule", changes, timed="request sent to answer")
    return report
