"""Follows a guest's output in a thread, over as many connections as that takes; keeps its last lines until taken."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from core.errors import DaemonUnavailable, VertuiError
from vertui.feed import Offsets
from vertui.text import printable
from vertui.widgets.guest_text import GuestText, clean

if TYPE_CHECKING:
    from core.daemon.streams import Output, StreamMessage

KEPT_LINES = 5000  # as many as a screen scrolls back to: what is pushed out would be out of sight there too
PAUSES_S = (0.1, 0.3, 1.0)  # before another connection, while the daemon is away
TAIL_BYTES = 1024  # by which a console that tells its past again is told from a new one


class Tail:
    """One stream. `open_stream` gets the offsets to go on from; `notify` is called from a thread, once until `take`.

    `replays`: each connection tells the past again, under offsets of its own, as a console does.
    """

    def __init__(
        self,
        open_stream: "Callable[[Offsets], AbstractContextManager[Iterable[StreamMessage]]]",
        notify: Callable[[], object],
        offsets: Offsets = (0, 0),
        *,
        replays: bool = False,
    ) -> None:
        self._open, self._notify = open_stream, notify
        self._lock = threading.Lock()
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._told, self._closed = False, threading.Event()
        self._stream: AbstractContextManager[Iterable[StreamMessage]] | None = None
        self._texts = {1: GuestText(), 2: GuestText()}
        self._offsets = dict(zip((1, 2), offsets, strict=True))
        self._replays, self._tail, self._again = replays, b"", False
        self.command: int | None = None  # once it has started
        self.exit_code: int | None = None
        self.error: VertuiError | None = None
        self.away = False  # waiting for the daemon
        self.rest = ""
        self.lost_bytes = 0

    def start(self) -> None:
        """Begin to follow."""
        threading.Thread(target=self._follow, name="follower", daemon=True).start()

    def close(self) -> None:
        """Follow no more; what is followed runs on. Returns at once: closing a socket may wait for its peer."""
        self._closed.set()
        if (stream := self._stream) is not None:
            threading.Thread(target=stream.__exit__, args=(None, None, None), daemon=True).start()

    @property
    def ended(self) -> bool:
        """Will nothing more come?"""
        return self.exit_code is not None or self.error is not None

    def take(self) -> list[str]:
        """The lines completed since the last call."""
        with self._lock:
            self._told = False
            lines = list(self._lines)
            self._lines.clear()
            return lines

    def _follow(self) -> None:
        failures = 0
        while not self._closed.is_set():
            try:
                self._once()
                break
            except DaemonUnavailable:
                failures = 0 if not self.away else failures + 1
                self.away, self._again = True, True
            except VertuiError as error:
                self.error = error
                break
            except Exception as bug:  # a thread that dies unheard would leave a dead pane
                self.error = VertuiError(f"a bug: {bug!r}")
                break
            self._tell()
            self._closed.wait(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
        self.away = False
        self._tell()

    def _once(self) -> None:
        """One connection's worth."""
        self._stream = self._open((self._offsets[1], self._offsets[2]))
        with self._stream as messages:
            if self.away:
                self.away = False
                self._tell()
            for message in messages:
                if self._closed.is_set():
                    return
                self._take_in(message)

    def _take_in(self, message: "StreamMessage") -> None:
        from core.daemon.streams import Dropped, Exit, Notice, Output, Started

        if isinstance(message, Output):
            text = self._texts[message.stream]
            lines = text.feed(self._unseen(message))
            self.rest = clean(text.rest)
            self._tell(lines)
        elif isinstance(message, Started):
            self.command = message.id
        elif isinstance(message, Notice):
            self._tell([printable(message.text)])
        elif isinstance(message, Dropped):
            self.lost_bytes += message.count
        elif isinstance(message, Exit):
            self._tell([clean(text.rest) for text in self._texts.values() if text.rest])
            self.rest, self.exit_code = "", message.code

    def _unseen(self, message: "Output") -> bytes:
        """The part of a message that no connection before has brought."""
        data = message.data
        if not self._replays:
            seen = self._offsets[message.stream]
            self._offsets[message.stream] = max(seen, message.offset + len(data))
            return data[max(0, seen - message.offset) :]
        at = data.rfind(self._tail) if self._again and self._tail else -1
        data = data[at + len(self._tail) :] if at >= 0 else data
        self._again, self._tail = False, (self._tail + data)[-TAIL_BYTES:]
        return data

    def _tell(self, lines: list[str] | None = None) -> None:
        with self._lock:
            self._lines.extend(lines or ())
            told, self._told = self._told, True
        if not told and not self._closed.is_set():
            self._notify()
