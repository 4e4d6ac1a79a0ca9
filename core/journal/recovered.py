"""What came of bringing a branch back: its commit, the journal after that, and the commands that were run again."""

from enum import StrEnum

from msgspec import Struct

from core.journal.entry import JournalEntry
from core.model import Branch


class StepEnd(StrEnum):
    """What became of a command that was to be run again.

    ahead: it would be, unless the commit is in the middle of it. same: it ended as it had. diverged: likewise, and
    printed something else. other: it ended otherwise, or its output is another one and that was not to be; there the
    replay stopped. held: it cannot be run again as it was, nor is what comes after. left: it was started, and runs on
    as it had. cut: its machine ended in the middle of it, so nobody was told of an end, and it is not run again.
    """

    AHEAD = "ahead"
    SAME = "same"
    DIVERGED = "diverged"
    OTHER = "other"
    HELD = "held"
    LEFT = "left"
    CUT = "cut"


STOPPED = (StepEnd.OTHER, StepEnd.HELD)


class ReplayStep(Struct, frozen=True):
    """A recorded command, by the number of its entry; `why` says more of an end that is not the same."""

    seq: int
    argv: tuple[str, ...]
    end: StepEnd
    why: str = ""


class Recovered(Struct, frozen=True):
    """A branch that was brought back to `commit`, or would be; `after` are the newest of its journal's entries that the
    commit's machine does not know of, `left_out` how many more there are. `steps` are the commands that were run again,
    in order; `taken_up` those that the commit's machine was in the middle of, and that have ended since. One that was
    booted `from_crash_disk` has its commit as head still, and all that was written since.
    """

    branch: Branch
    commit: str
    message: str
    dry_run: bool
    after: tuple[JournalEntry, ...] = ()
    left_out: int = 0
    taken_up: tuple[ReplayStep, ...] = ()
    steps: tuple[ReplayStep, ...] = ()
    from_crash_disk: bool = False

    @property
    def stopped(self) -> ReplayStep | None:
        """The command at which the replay stopped, None when it came to its end."""
        return next((step for step in self.steps if step.end in STOPPED), None)
