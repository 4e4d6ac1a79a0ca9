"""Measure what the issues promise: each subject one promise, beside what people used before."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence

import chain
import commits
import diff
import egress
import floods
import fork
import handover
import journal
import listening
import many
import memory
import pause
import peers
import policy
import ports
import programs
import slopes
import ssh
import store
import sustained
import swarm
import sync
import tree
import ui
import verbs
import views
import wake
from report import Report, as_promises, markdown_head, markdown_notes
from where import header

Measure = Callable[[bool], Report]
SPEED: dict[str, Measure] = {
    "pause": pause.measure,
    "fork": fork.measure,
    "commits": commits.measure,
    "verbs": verbs.measure,
    "sustained": sustained.measure,
    "memory": memory.measure,
    "slopes": slopes.measure,
    "handover": handover.measure,
    "many": many.measure,
    "sync": sync.measure,
    "peers": peers.measure,
}
SUBJECTS: dict[str, Measure] = {
    "diff": diff.measure,
    "store": store.measure,
    "views": views.measure,
    "chain": chain.measure,
    "listening": listening.measure,
    "ports": ports.measure,
    "ssh": ssh.measure,
    "egress": egress.measure,
    "floods": floods.measure,
    "tree": tree.measure,
    "ui": ui.measure,
    "journal": journal.measure,
    "policy": policy.measure,
    "programs": programs.measure,
    "wake": wake.measure,
    "swarm": swarm.measure,
    **SPEED,
}


def main() -> int:
    """Exit status 1 with --check when a figure misses what it must be."""
    asked = _parser().parse_args()
    names = _names(asked.subject)
    told = header()
    if not asked.json:
        print(markdown_head(told) if asked.markdown else "\n".join(told), flush=True)
    reports = []
    for name in names:
        reports.append(_measured(name, asked.quick))
        if not asked.json:  # at once: a later subject may fail
            print(reports[-1].as_markdown() if asked.markdown else f"\n{reports[-1].as_text()}", flush=True)
    if asked.json:
        print(json.dumps({"machine": told, "reports": [report.as_json() for report in reports]}, indent=1))
    elif asked.markdown:
        print(markdown_notes(reports))
    if not asked.check:
        return 0
    print(as_promises(reports), file=sys.stderr if asked.json else sys.stdout)
    return int(not all(report.holds for report in reports))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "subject",
        nargs="*",
        choices=[*SUBJECTS, "speed", []],
        help=f"what to measure (all); speed: {', '.join(SPEED)}",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document, with every sample")
    parser.add_argument("--markdown", action="store_true", help="the table of assets/figures.md")
    parser.add_argument(
        "--check",
        action="store_true",
        help="print must, aim and measured; fail when a figure misses what it must be",
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer and smaller: tries the program, proves nothing"
    )
    return parser


def _names(asked: Sequence[str]) -> list[str]:
    found = [part for name in asked or SUBJECTS for part in (SPEED if name == "speed" else [name])]
    return list(dict.fromkeys(found))


def _measured(name: str, quick: bool) -> Report:
    print(f"bench: {name}", file=sys.stderr)
    began = time.perf_counter()
    report = SUBJECTS[name](quick)
    report.took_s = round(time.perf_counter() - began, 1)
    return report


if __name__ == "__main__":
    sys.exit(main())
