"""Follows a guest's output in a thread and keeps the last lines until a widget takes them."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from core.errors import VertuiError
from vertui.widgets.guest_text import GuestText, clean

if TYPE_CHECKING:
    from core.daemon.streams import StreamMessage

KEPT_LINES = 5000  # as many as a screen scrolls back to: what is pushed out would be out of sight there too


class Follower:
    """One stream. `notify` is called from its thread, once until `take`."""

    def __init__(
        self,
        open_stream: "Callable[[], AbstractContextManager[Iterable[StreamMessage]]]",
        notify: Callable[[], object],
    ) -> None:
        self._open, self._notify = open_stream, notify
        self._lock = threading.Lock()
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._told = self._closed = False
        self._stream: AbstractContextManager[Iterable[StreamMessage]] | None = None
        self.exit_code: int | None = None
        self.error: VertuiError | None = None
        self.rest = ""
        self.lost_bytes = 0

    def start(self) -> None:
        """Begin to follow."""
        threading.Thread(target=self._follow, name="follower", daemon=True).start()

    def close(self) -> None:
        """Follow no more; what is followed runs on. Returns at once: closing a socket may wait for its peer."""
        self._closed = True
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
        try:
            self._stream = self._open()
            with self._stream as messages:
                if not self._closed:
                    self._read(messages)
        except VertuiError as error:
            self.error = None if self._closed else error
        self._tell()

    def _read(self, messages: "Iterable[StreamMessage]") -> None:
        from core.daemon.streams import Dropped, Exit, Output

        texts = {1: GuestText(), 2: GuestText()}
        for message in messages:
            if self._closed:
                return
            if isinstance(message, Output):
                lines = texts[message.stream].feed(message.data)
                self.rest = clean(texts[message.stream].rest)
                self._tell(lines)
            elif isinstance(message, Dropped):
                self.lost_bytes += message.count
            elif isinstance(message, Exit):
                self._tell([clean(text.rest) for text in texts.values() if text.rest])
                self.rest, self.exit_code = "", message.code

    def _tell(self, lines: list[str] | None = None) -> None:
        with self._lock:
            self._lines.extend(lines or ())
            told, self._told = self._told, True
        if not told and not self._closed:
            self._notify()
