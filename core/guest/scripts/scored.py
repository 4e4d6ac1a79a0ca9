"""scored.py regex PATTERN | scored.py pytest [FILE]: print a score of what a command printed, which comes as input.

The last match of the pattern, or its first group; or the share of tests that pass, by pytest's last line or, from a
file, its report in JUnit's XML. Nothing where there is none.
"""

import re
import sys
from xml.etree import ElementTree

SUMMARY = re.compile(r"\d+ (?:passed|failed|errors?)\b.* in \d[\d.]*s\b")
GOOD, BAD = ("passed", "xpassed"), ("failed", "error", "errors")


def matched(pattern: str, printed: str) -> str | None:
    """The last match."""
    found = [match[1 if match.re.groups else 0] for match in re.finditer(pattern, printed, re.MULTILINE)]
    return found[-1] if found else None


def share(good: int, bad: int) -> float | None:
    """Of good ones among all, None among none."""
    return good / (good + bad) if good + bad else None


def summed(printed: str) -> float | None:
    """By the last line."""
    lines = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", printed).split("\n") if SUMMARY.search(line)]
    told = re.findall(r"(\d+) ([a-z]+)", lines[-1]) if lines else ()
    return share(*(sum(int(count) for count, word in told if word in words) for words in (GOOD, BAD)))


def reported(path: str) -> float | None:
    """By a report."""
    suites = list(ElementTree.parse(path).iter("testsuite"))
    tests, skipped, failed, wrong = (
        sum(int(suite.get(name) or 0) for suite in suites)
        for name in ("tests", "skipped", "failures", "errors")
    )
    return share(tests - skipped - failed - wrong, failed + wrong)


def main() -> None:
    """Print it."""
    kind, *rest = sys.argv[1:]
    text = sys.stdin.buffer.read().decode(errors="replace")
    score = matched(rest[0], text) if kind == "regex" else reported(rest[0]) if rest else summed(text)
    print("" if score is None else score)


if __name__ == "__main__":
    main()
