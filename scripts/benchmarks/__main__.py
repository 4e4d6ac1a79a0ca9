"""Measure what the issues promise: each subcommand one promise, beside what people used before."""

import argparse
import json
import sys
from collections.abc import Callable

import diff
import store
from report import Report

SUBJECTS: dict[str, Callable[[bool], Report]] = {"diff": diff.measure, "store": store.measure}


def main() -> int:
    """Exit status 1 with --check when a figure misses what it must be."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("subject", nargs="*", choices=[*SUBJECTS, []], help="what to measure (all)")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--check", action="store_true", help="fail when a figure misses what it must be")
    parser.add_argument(
        "--quick", action="store_true", help="fewer and smaller: tries the program, proves nothing"
    )
    asked = parser.parse_args()
    reports = [SUBJECTS[name](asked.quick) for name in asked.subject or SUBJECTS]
    if asked.json:
        print(json.dumps([report.as_json() for report in reports], indent=1))
    else:
        print("\n\n".join(report.as_text() for report in reports))
    return int(asked.check and not all(report.holds for report in reports))


if __name__ == "__main__":
    sys.exit(main())
