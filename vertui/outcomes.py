"""What came of a command in a branch, for a program to read."""

from dataclasses import dataclass

from core.daemon.streams import STDERR, STDOUT, Exit
from vertui.streaming import Follower

MOST_BYTES = 1 << 20
"""Of each output the last so many are kept: what went wrong stands at the end."""


@dataclass(frozen=True)
class Outcome:
    """A command's end, and the last MOST_BYTES of each output as text: what is no UTF-8 is U+FFFD.

    `exit` is None where the command did not start or its end is not known, and `reason` says why. An output of more
    bytes than are shown is `truncated`; the guest has more of it, for `vertui exec BRANCH --attach COMMAND`.
    """

    branch: str
    command: int | None
    exit: int | None
    timed_out: bool = False
    reason: str = ""
    stdout: str = ""
    stderr: str = ""
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    truncated: bool = False


class KeptOutput:
    """Takes a command's output and keeps the end of it."""

    def __init__(self) -> None:
        self._ends = {STDOUT: bytearray(), STDERR: bytearray()}

    def __call__(self, stream: int, data: bytes) -> None:
        """Take bytes."""
        end = self._ends[stream]
        end += data
        del end[:-MOST_BYTES]

    def outcome(self, follower: Follower, end: Exit | Exception | None) -> Outcome:
        """With how the command ended, or what kept us from seeing that; None when it was left running."""
        out, err = (self._ends[stream] for stream in (STDOUT, STDERR))
        out_bytes, err_bytes = (follower.offsets[stream] for stream in (STDOUT, STDERR))
        return Outcome(
            follower.branch,
            follower.command,
            end.code if isinstance(end, Exit) else None,
            isinstance(end, Exit) and end.timed_out,
            "" if isinstance(end, Exit) else str(end or "left running"),
            out.decode(errors="replace"),
            err.decode(errors="replace"),
            out_bytes,
            err_bytes,
            truncated=(out_bytes, err_bytes) != (len(out), len(err)),
        )
