"""When a branch is committed by itself, which of these commits are kept, and what that costs: values."""

from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

KEEP_LAST, HOURLY = 10, 24  # as far as nobody says otherwise
EVERY_S, IDLE_S = 600, 30


class Trigger(StrEnum):
    """Why a commit was made: `NONE` for one that somebody asked for."""

    NONE = ""
    EXEC = "exec"
    TIME = "time"
    IDLE = "idle"
    BYTES = "bytes"
    WAITING = "waiting"
    SUSPEND = "suspend"


class CheckpointPolicy(Struct, frozen=True):
    """A branch is committed by itself after each command (`exec`), every so many seconds while it changes (`every_s`),
    when nothing was done in it for so long (`idle_s`), when so much of it has changed (`bytes`), or when its agent says
    that it `waits`; 0 for never. Of these commits the newest `keep_last` are kept, and one of each of the last `hourly`
    hours; those with a tag always are, and those that something was made of.
    """

    exec: bool = False
    every_s: float = 0.0
    idle_s: float = 0.0
    bytes: int = 0
    waits: bool = False
    keep_last: int = KEEP_LAST
    hourly: int = HOURLY

    @property
    def is_manual(self) -> bool:
        """Is nothing committed by itself?"""
        return not any(in_words(self))


class Price(Struct, frozen=True):
    """What the newest commits that were made by themselves cost, each on average: how long the guest felt them, what
    they added to the store; how many there were of late, and how many an hour that were.
    """

    count: int = 0
    felt_pause_ms: float = 0.0
    stored_bytes: int = 0
    an_hour: float = 0.0


class Policed(Struct, frozen=True):
    """The policy that a branch has, whether it is its `own` or what the home says, and what that costs."""

    branch: str
    policy: CheckpointPolicy
    own: bool
    price: Price


def in_words(policy: CheckpointPolicy) -> tuple[str, ...]:
    """When a branch is committed by itself, one after the other; nothing for never."""
    return tuple(_words(policy))


def _words(policy: CheckpointPolicy) -> Iterator[str]:
    if policy.exec:
        yield "after each command"
    if policy.waits:
        yield "when its agent says that it waits"
    if policy.idle_s:
        yield f"when idle for {policy.idle_s:g} s"
    if policy.bytes:
        yield f"when {policy.bytes >> 20} MiB have changed"
    if policy.every_s:
        yield f"every {policy.every_s:g} s while it changes"
