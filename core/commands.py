"""Commands in guests, as their agents tell of them: not to be trusted, only shown."""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

Recorded = Literal["some", "all", "none"]
"""How much of a command's output its branch's journal keeps."""


class Command(Struct, frozen=True):
    """A command in a guest, running or finished. `exit_code` is None while it runs; so is `lasted_ms`, and where an
    older image's agent does not tell it. One that `timed_out` was ended by its time limit.
    """

    id: int
    argv: tuple[str, ...]
    pid: int
    started: float
    exit_code: int | None = None
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    dropped_bytes: int = 0
    lasted_ms: float | None = None
    timed_out: bool = False


def newest(commands: Iterable[Command]) -> Command | None:
    """The one that was started last, whether it runs or not: a service that runs on hides nothing later."""
    return max(commands, key=lambda one: one.id, default=None)


class LastCommand(Struct, frozen=True):
    """The newest command of a machine in short, as it was when somebody last looked; `exit_code` is None while it runs.

    `printed_bytes` is how much came out of it, `line` the last of that.
    """

    id: int
    words: str
    started: float
    exit_code: int | None = None
    printed_bytes: int = 0
    line: str = ""
    timed_out: bool = False
    lasted_ms: float | None = None


PRINTED, EXIT = "printed", "exit"


class Scoring(Struct, frozen=True):
    """A command of a guest, by its number, that scores its branch when it ends. The rule is PRINTED: the last number of
    its own output, if it ends with 0; or EXIT: 1 if it ends with 0, otherwise 0; or another command, that is run then:
    the last number of that one's.
    """

    command: int
    rule: str
