"""One branch's newest command as it is watched: what it printed, how far it was followed, where somebody looks.

It outlasts the screen that shows it: a screen that opens again goes on from where this one was.
"""

import threading
from collections.abc import Callable

from core.commands import Command, newest
from core.errors import GuestFailed, VertuiError
from core.model import ExecRequest
from vertui.actions import BY_ID
from vertui.feed import Feed, Offsets, Printing
from vertui.text import printable, size
from vertui.widgets.follower import Tail
from vertui.widgets.scrollback import Scrollback

FIRST_BYTES = 128 * 1024  # of what each stream printed before anybody watched

Notify = Callable[[], object]


class Turn:
    """What one command prints, on its way to where that of several is kept: nothing more once it is another's turn."""

    def __init__(self, kept: Scrollback) -> None:
        self._kept: Scrollback | None = kept
        self._lock = threading.Lock()

    def add(self, stream: int, data: bytes) -> None:
        """Take what a stream printed."""
        with self._lock:
            if self._kept is not None:
                self._kept.add(stream, data)

    def remark(self, text: str) -> None:
        """Take a line that the guest did not print."""
        with self._lock:
            if self._kept is not None:
                self._kept.remark(text)

    def finish(self) -> None:
        """Nothing more will come: what was begun is a line."""
        with self._lock:
            if self._kept is not None:
                self._kept.finish()

    def end(self) -> None:
        """It is another's: whoever still follows this one adds nothing to it."""
        with self._lock:
            if self._kept is not None:
                self._kept.finish()
            self._kept = None


class WatchedCommand:
    """`held` is the line before which the view stands still, None while it follows."""

    def __init__(self, branch: str) -> None:
        self.branch = branch
        self.kept = Scrollback()
        self.command = ""  # as people read it
        self.held: int | None = None
        self.trouble = ""  # why there is nothing to see
        self._id: int | None = None
        self._tail: Tail | None = None
        self._turn = Turn(self.kept)
        self._ended = False  # and said so
        self._own = False  # it was started here, not found
        self._begun = False  # somebody asked for a command to be started
        self._shown: tuple[object, ...] = ()  # what `take` knew last

    # -- what it is ------------------------------------------------------------------------------------------

    @property
    def id(self) -> int | None:
        """The command's, once it has started."""
        return self._tail.command or self._id if self._tail else self._id

    @property
    def runs(self) -> bool:
        """May more come?"""
        return self._tail is not None and not self._tail.ended

    @property
    def away(self) -> bool:
        """Is the daemon being waited for?"""
        return self._tail is not None and self._tail.away

    @property
    def exit_code(self) -> int | None:
        """How it ended, None where it did not, or nobody knows."""
        return self._tail.exit_code if self._tail else None

    @property
    def timed_out(self) -> bool:
        """Did its time limit end it?"""
        return self._tail is not None and self._tail.timed_out

    # -- following -------------------------------------------------------------------------------------------

    def run(self, feed: Feed, request: ExecRequest, notify: Notify) -> None:
        """Start a command, and watch it."""
        self._begin(None, " ".join(request.argv))
        self._own, self._begun, self.held = True, False, None

        def opened(offsets: Offsets) -> Printing:
            """Run it, or go on with it: never run it twice."""
            if self.id is not None:
                return feed.output(self.branch, self.id, offsets)
            if self._begun:
                raise GuestFailed("the daemon went away as the command was started: it may have run")
            self._begun = True
            return feed.run(request)

        self._follow(Tail(opened, notify, self._turn))

    def look(self, feed: Feed, commands: list[Command], notify: Notify) -> None:
        """Watch the newest command, but the one that was started here until one goes on without it; where that is
        watched already, go on with it if it is not followed any more.
        """
        own = next((one for one in commands if self._own and one.id == self.id), None)
        last = newest(one for one in commands if own in (None, one) or _goes_on(one, own))
        self.trouble = "" if last else f"no command was started here: {BY_ID['exec'].key_label} runs one"
        if last is None or (self.follows and not self._is_older_than(last)):
            return
        offsets = self._tail.offsets if self._tail else (0, 0)
        if last.id != self.id:
            self._begin(last.id, " ".join(last.argv))
            offsets = max(0, last.stdout_bytes - FIRST_BYTES), max(0, last.stderr_bytes - FIRST_BYTES)
            if any(offsets):
                self.kept.remark(f"… {size(sum(offsets))} before this")
        elif self._ended:
            return
        self._follow(Tail(lambda at: feed.output(self.branch, last.id, at), notify, self._turn, offsets))

    def _is_older_than(self, other: Command) -> bool:
        """Was the other started later? One that is only being started has no id yet, and is newer than any that has."""
        return self.id is not None and self.id < other.id

    @property
    def follows(self) -> bool:
        """Is it being followed?"""
        return self.runs and not (self._tail and self._tail.closed)

    def take(self) -> bool:
        """Know what came so far; say how it ended. Is there anything new?"""
        if self._tail is None:
            return False
        self._tail.seen()
        if self._tail.ended and not self._ended:
            self._ended = True
            self.kept.remark(_end(self._tail))
        before, self._shown = self._shown, (self.kept.came_bytes, self.runs, self.away, self.command)
        return self._shown != before

    def fail(self, error: VertuiError) -> None:
        """What its commands are could not be asked."""
        self.trouble = str(error)

    def leave(self) -> None:
        """Follow no more; the command runs on, and what was seen stays."""
        if self._tail is not None:
            self._tail.close()

    def write(self, data: bytes) -> bool:
        """Type into it; False when it takes nothing. Blocks."""
        return self._tail is not None and self._tail.write(data)

    def signal(self, number: int) -> None:
        """Send its process group a signal. Blocks."""
        if self._tail is not None and not self._tail.ended:
            self._tail.signal(number)

    # -- looking back ----------------------------------------------------------------------------------------

    def move(self, by: int) -> None:
        """Look further up, or down; at the end it follows again."""
        last = self.kept.end if self.held is None else self.held
        last = max(self.kept.start + 1, last + by)
        self.held = None if last >= self.kept.end else last

    def hold(self, line: int | None) -> None:
        """Stand still with this line at the bottom, or follow."""
        self.held = line if line is None else line + 1

    def _begin(self, id: int | None, command: str) -> None:
        self.leave()
        self._turn.end()
        self._turn = Turn(self.kept)
        if self.kept.end:
            self.kept.remark("")
        self._id, self.command, self._tail, self._ended = id, printable(command), None, False
        self.trouble, self._own = "", False

    def _follow(self, tail: Tail) -> None:
        self._tail = tail
        tail.start()


def _goes_on(other: Command, own: Command) -> bool:
    """Was it started later, and does it run, or was it started, when the other had ended?"""
    if own.exit_code is None or other.id < own.id:
        return False
    return other.exit_code is None or other.started >= own.started + (own.lasted_ms or 0.0) / 1000


def _end(tail: Tail) -> str:
    if tail.error is not None:
        return str(tail.error)
    lost = f", {tail.lost_bytes} bytes of output were dropped" if tail.lost_bytes else ""
    late = ": its time limit was over" if tail.timed_out else ""
    return f"exit {tail.exit_code}{late}{lost}"
