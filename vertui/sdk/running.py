"""A command in a branch, to its end or as it runs; it is followed however often its daemon goes away and comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import NamedTuple, Self

from core.daemon.endpoint import Endpoint
from core.daemon.streams import STDERR, Exit
from core.errors import DaemonUnavailable, VertuiError
from core.model import ExecRequest
from vertui.outcomes import KeptOutput, Outcome
from vertui.sdk.away import AHEAD
from vertui.streaming import AttachRequest, Follower

LOOK_S = 0.01  # between looks at whether it runs


class PrintedPiece(NamedTuple):
    """Bytes that a command printed: on standard output, or with `is_error` on standard error."""

    data: bytes
    is_error: bool

    @property
    def text(self) -> str:
        """As text: what is no UTF-8 is U+FFFD."""
        return self.data.decode(errors="replace")


class Execution:
    """A command from its start to its end."""

    def __init__(
        self, endpoint: Endpoint, what: ExecRequest | AttachRequest, given: bytes | str | None
    ) -> None:
        self._kept = KeptOutput()
        self._follower = Follower(endpoint, what, self._kept, _unsaid)
        self._given = given

    def outcome(self) -> Outcome:
        """How it ended. DaemonUnavailable when the daemon stays away; what it says of a command that cannot start."""
        _feed(self._follower, self._given)
        return self._kept.outcome(self._follower, self._follower.follow())

    def close(self) -> None:
        """Follow it no more: it hangs up."""
        self._follower.close()


class SyncRunning:
    """A command that runs. Iterate it for what it prints, as it comes: it waits while nobody does. `wait` is for its
    end, and leaves the rest of what it prints unread. Closed before that, it hangs up: use `with`.
    """

    def __init__(
        self, endpoint: Endpoint, what: ExecRequest | AttachRequest, given: bytes | str | None = None
    ) -> None:
        self._kept = KeptOutput()
        self._follower = Follower(endpoint, what, self._take, _unsaid)
        self._came: SimpleQueue[PrintedPiece | None] = SimpleQueue()
        self._room, self._unread = threading.Semaphore(AHEAD), threading.Event()
        self._end: Exit | BaseException | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        _feed(self._follower, given)

    @property
    def command(self) -> int | None:
        """Its number in the guest, as `ps` shows it; None until it is known to run."""
        return self._follower.command

    def __iter__(self) -> Iterator[PrintedPiece]:
        while (printed := self._came.get()) is not None:
            self._room.release()
            yield printed
        self._came.put(None)  # whoever iterates again finds the end, too
        if isinstance(self._end, BaseException):
            raise self._end

    def write(self, data: bytes) -> bool:
        """Give it input, blocking while it has not taken what it was given; False when it takes no more."""
        return self._follower.stdin.write(data)

    def eof(self) -> None:
        """End its input."""
        self._follower.stdin.eof()

    def signal(self, number: int) -> None:
        """Send a signal to it and what it started."""
        self._follower.signal(number)

    def unread(self) -> None:
        """Read no more of what it prints: it waits for nobody."""
        self._unread.set()
        self._room.release()

    def wait(self) -> Outcome:
        """How it ended, and the end of what it printed."""
        self.unread()
        self._thread.join()
        if isinstance(self._end, Exit):
            return self._kept.outcome(self._follower, self._end)
        raise self._end or DaemonUnavailable("it was left running")

    def leave(self) -> int:
        """Let it run on without us, once it runs; its number, for `attach`. DaemonUnavailable when that is not sure."""
        self.unread()
        while self._follower.command is None and self._thread.is_alive():
            time.sleep(LOOK_S)
        number = self._follower.command
        if number is None or not self._follower.leave():
            raise DaemonUnavailable("the command was not left running: it ends with its connection")
        return number

    def close(self) -> None:
        """End the connection, and with it a command that runs."""
        self.unread()
        self._follower.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _follow(self) -> None:
        try:
            self._end = self._follower.follow()
        except BaseException as error:
            self._end = error
        self._came.put(None)

    def _take(self, stream: int, data: bytes) -> None:
        self._kept(stream, data)
        if not self._unread.is_set():
            self._room.acquire()
        if self._unread.is_set():
            self._room.release()
        else:
            self._came.put(PrintedPiece(data, stream == STDERR))


def _feed(follower: Follower, given: bytes | str | None) -> None:
    """Give a command all its input, in a thread of its own: it may take only some of it."""
    if given is None:
        return
    data = given.encode() if isinstance(given, str) else given

    def feed() -> None:
        with suppress(VertuiError):  # whoever follows the command is told
            if follower.stdin.write(data):
                follower.stdin.eof()

    threading.Thread(target=feed, daemon=True).start()


def _unsaid(_: str) -> None:
    """What a person would be told meanwhile."""
