"""The children of a fork before there are any: their names, the command of each, the memory they take."""

import re
from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct

from core.errors import Conflict
from core.model import Commit
from core.refs import check_new

LONGEST_NAME = 31
PLACES = re.compile(r"\$\{(?:i|name)\}|\{\{(?P<kept>i|name)\}\}|\{(?P<place>i|name)\}")


class MemoryRoom(Struct, frozen=True):
    """The memory that one more machine takes, and what there is for machines."""

    each_bytes: int
    free_bytes: int


def children_names(
    branch: str | None, n: int, prefix: str | None, taken: Collection[str], commits: Iterable[Commit]
) -> list[str]:
    """PREFIX1 … PREFIXn, or PREFIX itself for a single one, all legal and free. Without a prefix it is the first of b,
    BRANCH-, c, d … whose names are. UsageError or Conflict where there are none.
    """
    commits = list(commits)
    if prefix is not None:
        names = [prefix] if n == 1 else [f"{prefix}{number}" for number in range(1, n + 1)]
        check_new(names, taken, commits)
        return names
    for candidate in ["b", *([f"{branch}-"] if branch else []), *"cdefghijklmnopqrstuvwxyz"]:
        names = [f"{candidate}{number}" for number in range(1, n + 1)]
        if len(names[-1]) <= LONGEST_NAME and not any(name in taken for name in names):
            check_new(names, taken, commits)
            return names
    raise Conflict("no short prefix is free: give one with --name")


def children_commands(names: Sequence[str], command: str | None, variants: Sequence[str]) -> dict[str, str]:
    """What each child starts, by its name: its variant, or the command of all."""
    each = variants or [command or ""] * len(names)
    return {
        name: filled(text, at + 1, name)
        for at, (name, text) in enumerate(zip(names, each, strict=True))
        if text
    }


def filled(command: str, number: int, name: str) -> str:
    """A command with the child's number for `{i}` and its name for `{name}`. `${i}` is the shell's own, and `{{i}}`
    stands for `{i}`.
    """

    def value(found: re.Match[str]) -> str:
        if kept := found["kept"]:
            return f"{{{kept}}}"
        return {"i": str(number), "name": name}.get(found["place"] or "", found[0])

    return PLACES.sub(value, command)
