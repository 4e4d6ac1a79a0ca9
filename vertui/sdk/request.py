"""What a program may say of a command that it runs in a branch."""

import re
from collections.abc import Mapping, Sequence
from typing import TypedDict

from core.commands import Recorded
from core.model import ExecRequest

Line = str | Sequence[str]
"""A line for the guest's shell, or the words of a command."""

WORD = re.compile(r".*[ \t\n].*|[\w@%+=:,./-]+", re.DOTALL)


class ExecOptions(TypedDict, total=False):
    """`input` is its standard input. `env` are variables, `cwd` the directory (the user's home without one), `user` who
    runs it (root). After `timeout_s` it is killed, and its exit status is 124. `secrets` are variables, each with the
    name of the secret it gets. `score` scores the branch by what is printed, as `fork` does. `recorded` is how much of
    the output the journal keeps. One that `outlives` its client goes on when that ends.
    """

    input: bytes | str
    env: Mapping[str, str]
    cwd: str
    user: str
    timeout_s: float
    secrets: Mapping[str, str]
    score: str
    recorded: Recorded
    outlives: bool


def request_of(branch: str, line: Line, author: str, options: ExecOptions, *, stdin: bool) -> ExecRequest:
    """The command as the daemon is told it. It waits for its reader, so that no output is lost."""
    return ExecRequest(
        branch,
        _argv(line),
        env=dict(options.get("env", {})),
        cwd=options.get("cwd"),
        user=options.get("user"),
        stdin=stdin,
        timeout_s=options.get("timeout_s"),
        lossless=True,
        outlives=options.get("outlives", False),
        secrets=dict(options.get("secrets", {})),
        score=options.get("score", ""),
        author=author,
        recorded=options.get("recorded", "some"),
    )


def _argv(line: Line) -> tuple[str, ...]:
    """To the daemon a single word with blanks in it is a line, and any other a program."""
    if not isinstance(line, str):
        return tuple(line)
    return (line,) if WORD.fullmatch(line) else ("sh", "-c", line)
