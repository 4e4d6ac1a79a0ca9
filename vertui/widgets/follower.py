"""Follows a guest's output in a thread, over as many connections as that takes, into whatever keeps it.

What comes faster than it is looked at is not read: some waits here, a window of it in the daemon, and the rest in the
guest. A flood costs what is drawn of it, and keys are answered.
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Protocol

from rich.text import Text

from vertui import theme
from vertui.feed import Offsets, Printing
from vertui.guest_text import GuestText
from vertui.text import printable
from vertui.widgets.persisting import Persisting
from vertui.widgets.sgr import styled

if TYPE_CHECKING:
    from core.daemon.streams import Output, StreamMessage

KEPT_LINES = 5000  # as many as a screen scrolls back to: what is pushed out would be out of sight there too
MOST_UNSEEN = 256 * 1024  # bytes: what a daemon sends before it hears that they were read
MOST_LINES_UNSEEN = 8 * 1024  # bytes made into lines as they come: folding the worst takes some milliseconds
TAIL_BYTES = 1024  # by which a console that tells its past again is told from a new one


class Keeps(Protocol):
    """What keeps the output. Called from the thread that follows."""

    def add(self, stream: int, data: bytes) -> None:
        """Take what a stream printed."""

    def remark(self, text: str) -> None:
        """Take a line that the guest did not print."""

    def finish(self) -> None:
        """Nothing more will come."""


class Tail(Persisting):
    """One stream. `open_stream` gets the offsets to go on from; `notify` is called from a thread, once until `seen`,
    and little more than `most_unseen` bytes are read until then.

    `replays`: each connection tells the past again, under offsets of its own, as a console does.
    """

    def __init__(
        self,
        open_stream: Callable[[Offsets], Printing],
        notify: Callable[[], object],
        into: Keeps,
        offsets: Offsets = (0, 0),
        *,
        replays: bool = False,
        most_unseen: int = MOST_UNSEEN,
    ) -> None:
        super().__init__()
        self._open, self._notify, self._into = open_stream, notify, into
        self._looked = threading.Condition()
        self._told = False
        self._unseen_bytes, self._most_unseen = 0, most_unseen
        self._stream: Printing | None = None
        self._offsets = dict(zip((1, 2), offsets, strict=True))
        self._replays, self._tail, self._again = replays, b"", False
        self.command: int | None = None  # once it has started
        self.exit_code: int | None = None
        self.timed_out = False
        self.lost_bytes = 0

    def start(self) -> None:
        """Begin to follow."""
        threading.Thread(target=self._follow, name="follower", daemon=True).start()

    def close(self) -> None:
        """Follow no more; what is followed runs on. Returns at once: closing a socket may wait for its peer."""
        self._closed.set()
        with self._looked:
            self._looked.notify_all()
        if (stream := self._stream) is not None:
            threading.Thread(target=stream.close, daemon=True).start()

    @property
    def ended(self) -> bool:
        """Will nothing more come?"""
        return self.exit_code is not None or self.error is not None

    @property
    def offsets(self) -> Offsets:
        """How far each of the two streams was followed."""
        return self._offsets[1], self._offsets[2]

    def seen(self) -> None:
        """What came so far is known: tell of more."""
        with self._looked:
            self._told, self._unseen_bytes = False, 0
            self._looked.notify_all()

    @property
    def closed(self) -> bool:
        """Was it closed?"""
        return self._closed.is_set()

    def signal(self, number: int) -> None:
        """Send what is followed a signal."""
        if self._stream is not None:
            self._stream.signal(number)

    def write(self, data: bytes) -> bool:
        """Type into what is followed; False when it takes nothing. Waits where it takes no more for now."""
        return self._stream is not None and not self.ended and not self.away and self._stream.write(data)

    def _follow(self) -> None:
        self._persist()
        self._tell()

    def _once(self, again: bool) -> None:
        """One connection's worth."""
        self._again = again
        self._stream = self._open(self.offsets)
        with closing(self._stream) as messages:
            self._came_back()
            for message in messages:
                if self._closed.is_set():
                    return
                self._take_in(message)

    def _take_in(self, message: "StreamMessage") -> None:
        from core.daemon.streams import Dropped, Exit, Notice, Output, Started

        if isinstance(message, Output):
            self._into.add(message.stream, self._unseen(message))
            self._tell()
            self._let_look(len(message.data))
        elif isinstance(message, Started):
            self.command = message.id
        elif isinstance(message, Notice):
            self._into.remark(message.text)
            self._tell()
        elif isinstance(message, Dropped):
            self.lost_bytes += message.count
        elif isinstance(message, Exit):
            self._into.finish()
            self.exit_code, self.timed_out = message.code, message.timed_out
            self._tell()

    def _let_look(self, count: int) -> None:
        """Wait while much is there that nobody has looked at."""
        with self._looked:
            self._unseen_bytes += count
            self._looked.wait_for(lambda: self._unseen_bytes < self._most_unseen or self._closed.is_set())

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

    def _tell(self) -> None:
        with self._looked:
            told, self._told = self._told, True
        if not told and not self._closed.is_set():
            self._notify()


class LastLines:
    """Keeps the last lines until they are taken, and `rest`, the line being printed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: deque[Text] = deque(maxlen=KEPT_LINES)
        self._texts = {1: GuestText(), 2: GuestText()}
        self.rest = Text()

    def add(self, stream: int, data: bytes) -> None:
        """Take what a stream printed."""
        text = self._texts[stream]
        self._keep([styled(line) for line in text.feed(data)])
        self.rest = styled(text.rest)

    def remark(self, text: str) -> None:
        """Take a line that the guest did not print."""
        self._keep([Text(printable(text), style=theme.TEXT)])

    def finish(self) -> None:
        """Nothing more will come: what was begun is a line."""
        self._keep([styled(text.rest) for text in self._texts.values() if text.rest])
        self.rest = Text()

    def take(self) -> list[Text]:
        """The lines completed since the last call."""
        with self._lock:
            lines = list(self._lines)
            self._lines.clear()
            return lines

    def _keep(self, lines: list[Text]) -> None:
        with self._lock:
            self._lines.extend(lines)


class LineTail(Tail):
    """Follows one stream and keeps its last lines."""

    def __init__(
        self,
        open_stream: Callable[[Offsets], Printing],
        notify: Callable[[], object],
        offsets: Offsets = (0, 0),
        *,
        replays: bool = False,
    ) -> None:
        self._kept = LastLines()
        super().__init__(
            open_stream, notify, self._kept, offsets, replays=replays, most_unseen=MOST_LINES_UNSEEN
        )

    def take(self) -> list[Text]:
        """The lines completed since the last call."""
        self.seen()
        return self._kept.take()

    @property
    def rest(self) -> Text:
        """The line being printed."""
        return self._kept.rest
