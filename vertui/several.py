"""Verbs that take several branches: each once, and what fails in one does not stop the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from core.errors import NotFound, UsageError, VertuiError
from core.refs import TRUNK
from vertui.output import warn

if TYPE_CHECKING:
    from core.daemon.client import Client


@dataclass(frozen=True)
class Refused:
    """What a verb was not done to, and the error that says why."""

    name: str
    kind: str
    message: str


def check_named(verb: str, named: Sequence[str], everything: bool) -> None:
    """UsageError unless branches are named, or all are meant."""
    if named and everything:
        raise UsageError(f"name the branches to {verb}, or give --all: not both")
    if not named and not everything:
        raise UsageError(f"name the branches to {verb}, or give --all")


def distinct(client: "Client", names: Sequence[str]) -> list[str]:
    """Branches by name, in the order given, each once: `@trunk` beside others is the branch it points at."""
    if TRUNK not in names or len(names) == 1:
        return list(dict.fromkeys(names))
    trunk = client.tree().trunk
    if trunk is None:
        raise NotFound("there is no trunk yet: run `vertui up`")
    return list(dict.fromkeys(trunk if name == TRUNK else name for name in names))


def each(names: Sequence[str], do: Callable[[str], None]) -> None:
    """Do it to one branch after the other. Failures are told, and the first one's exit status is the command's."""
    if len(names) == 1:
        do(names[0])
        return
    failures: list[VertuiError] = []
    for name in names:
        try:
            do(name)
        except VertuiError as error:
            warn(f"{name}: {error}")
            failures.append(error)
    if failures:
        raise typer.Exit(failures[0].exit_status)
