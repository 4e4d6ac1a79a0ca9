"""Files that change by themselves: caches, compiled code, logs. A list of rules that can be looked at and switched."""

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """A glob and why what it matches is noise. One with a slash is held against whole paths, one without against each
    name on the way, as `diff --ignore` does; what lies below is noise too.
    """

    glob: str
    why: str


RULES = (
    Rule("*.pyc", "compiled Python"),
    Rule("__pycache__", "compiled Python"),
    Rule(".cache", "a user's caches"),
    Rule(".pytest_cache", "what pytest remembers"),
    Rule(".mypy_cache", "what mypy remembers"),
    Rule(".ruff_cache", "what ruff remembers"),
    Rule("*~", "an editor's copies"),
    Rule("*.swp", "an editor's copies"),
    Rule("/etc/*-", "copies of account files"),
    Rule("/var/cache", "caches of the system"),
    Rule("/var/lib/apt/lists", "lists of packages"),
    Rule("/var/lib/dpkg/*-old", "dpkg's copies"),
    Rule("/var/lib/systemd", "clocks and random seeds"),
    Rule("/var/log", "logs"),
    Rule("/var/tmp", "temporary files"),
)


class Noise:
    """The rules that are on, as one question."""

    def __init__(self, rules: Collection[Rule] = RULES) -> None:
        self._rules = tuple(rules)
        parts = [f"(?P<r{number}>{_pattern(rule.glob)})" for number, rule in enumerate(self._rules)]
        self._any = re.compile("|".join(parts)) if parts else None

    def of(self, path: str) -> Rule | None:
        """The rule by which a path is noise."""
        found = self._any.search(path) if self._any else None
        return self._rules[int(found.lastgroup[1:])] if found and found.lastgroup else None


def count(paths: Iterable[str]) -> dict[str, int]:
    """How many paths each rule is the first to match, whether it is on or not."""
    every = Noise()
    return Counter(rule.glob for path in paths if (rule := every.of(path)))


def _pattern(glob: str) -> str:
    name = re.escape(glob.lstrip("/")).replace(r"\*", "[^/]*")
    return f"{'^/' if glob.startswith('/') else '/'}{name}(?:/|$)"
