"""Standard input on its way to a command: kept by absolute offset until the command has taken it."""

import threading
from collections.abc import Callable

from core.errors import VertuiError
from core.guest.agent.wire import CHUNK_BYTES, WINDOW_BYTES


class Input:
    """Filled by one thread, sent by another, over as many connections as it takes; at most a window is kept."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._kept = bytearray()
        self._base = self._taken = 0
        self._begun = False
        self._eof = False
        self._shut = False
        self._failure: VertuiError | None = None
        self.on_change: Callable[[], object] = lambda: None

    def write(self, data: bytes) -> bool:
        """Add input, waiting while a window of it has not been taken; False when the command takes no more."""
        rest = memoryview(data)
        while rest:
            with self._changed:
                self._changed.wait_for(lambda: self._room > 0 or self._shut or self._failure)
                if self._failure and not self._shut:
                    raise self._failure
                if self._shut:
                    return False
                piece = rest[: self._room]
                self._kept += piece
            rest = rest[len(piece) :]
            self.on_change()
        return True

    def eof(self) -> None:
        """Nothing more will be written."""
        with self._changed:
            self._eof = True
        self.on_change()

    def shut(self) -> None:
        """Nobody takes any more: who writes need not wait."""
        with self._changed:
            self._shut = True
            self._kept.clear()
            self._changed.notify_all()

    def fail(self, failure: VertuiError) -> None:
        """Nothing can be sent any more: who writes is told why."""
        with self._changed:
            self._failure = failure
            self._changed.notify_all()

    def begin(self, received: int, taken: int) -> None:
        """A connection to the command is there: its guest has this much, and it has taken so much of that."""
        with self._changed:
            if not self._begun:
                self._begun, self._base = True, received
            self._drop(received)
            self._taken = taken
            self._changed.notify_all()

    def taken(self, offset: int) -> None:
        """The command has taken all before this offset."""
        with self._changed:
            self._drop(offset)
            self._taken = offset
            self._changed.notify_all()

    def after(self, offset: int) -> bytes | None:
        """The next bytes to send; none while there are none, None at the end."""
        with self._changed:
            if self._shut:
                return b""
            at = offset - self._base
            data = bytes(self._kept[at : at + CHUNK_BYTES])
            return None if self._eof and not data else data

    @property
    def position(self) -> int:
        """The offset before which nothing need be sent again."""
        return self._base

    @property
    def _room(self) -> int:
        return WINDOW_BYTES - (self._base + len(self._kept) - self._taken)

    def _drop(self, offset: int) -> None:
        count = max(0, offset - self._base)
        del self._kept[:count]
        self._base += count
