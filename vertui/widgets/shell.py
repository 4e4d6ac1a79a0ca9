"""A shell in a branch: its terminal's emulator, and the threads that follow it over as many connections as that takes.

Output waits in a short queue until it is taken: one that is not taken holds up the shell, as a slow terminal does. What
is typed waits too, until the guest has it, so a daemon that dies takes nothing with it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol

from core.errors import DaemonUnavailable
from vertui import theme
from vertui.emulator.emulator import Emulator
from vertui.text import printable
from vertui.widgets.persisting import Persisting

if TYPE_CHECKING:
    from core.daemon.streams import StreamMessage

MOST_WAITING = 64 * 1024  # bytes of output: what is behind an interrupt is soon through
MOST_TYPED = 4 << 20  # bytes not yet taken: more is no paste but a file, which `vertui cp` copies
PIECE_BYTES = 256  # fed at once: whatever it says, it takes some milliseconds


class ShellStream(Protocol):
    """What a `core.daemon.streams.Stream` is to a shell."""

    def __iter__(self) -> "Iterator[StreamMessage]": ...

    def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal's size; DaemonUnavailable."""

    def close(self) -> None:
        """End it. It may take a moment."""


Open = Callable[["Shell", bool], ShellStream]
"""Opens a connection, `again` when one before may have started the shell. Raises VertuiError."""


class Shell(Persisting):
    """One shell. `on_news` is called from its threads when something is new, once until `take_in` has taken all."""

    def __init__(self, branch: str, open_stream: Open, rows: int, columns: int) -> None:
        from core.daemon.streams import Input

        super().__init__()
        self.branch = branch
        self.emulator = Emulator(rows, columns, (theme.TEXT, theme.GROUND))
        self.stdin: Input = Input()
        self.command: int | None = None  # once it has started
        self.offset = 0  # of its output, up to which it has been read
        self.exit_code: int | None = None
        self.unread = False
        self.on_news: Callable[[], object] = lambda: None
        self._open = open_stream
        self._room = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._told = False
        self._typed: SimpleQueue[bytes] = SimpleQueue()
        self._typed_bytes = 0
        self._stream: ShellStream | None = None

    # -- what the screen does with it --------------------------------------------------------------------------

    def start(self) -> None:
        """Start it, and follow it."""
        threading.Thread(target=self._follow, name="shell", daemon=True).start()
        threading.Thread(target=self._type, name="typist", daemon=True).start()

    def close(self) -> None:
        """Hang up: a shell that has not ended ends. Returns at once: closing a socket may wait for its peer."""
        self._closed.set()
        self.stdin.shut()
        self._typed.put(b"")
        with self._room:
            self._room.notify_all()
        if (stream := self._stream) is not None:
            threading.Thread(target=stream.close, daemon=True).start()

    @property
    def ended(self) -> bool:
        """Has it ended, and is all taken in that it printed?"""
        return (self.exit_code is not None or self.error is not None) and not self._waiting

    def type(self, data: bytes) -> bool:
        """Send input, without waiting; False when so much waits already that it is not taken."""
        if self._typed_bytes + len(data) > MOST_TYPED:
            return False
        if data:
            with self._room:
                self._typed_bytes += len(data)
            self._typed.put(data)
        return True

    def resize(self, rows: int, columns: int) -> None:
        """Another size."""
        if (rows, columns) == (self.emulator.rows, self.emulator.columns):
            return
        self.emulator.resize(rows, columns)
        self._tell_size()

    def take_in(self, until: float) -> bool:
        """Give the emulator what has come, until a moment of `time.monotonic`; whether more may wait."""
        more = True
        while more and time.monotonic() < until:
            if piece := self._next():
                self.emulator.feed(piece)
                self.unread = True
            else:
                more = False
        self.type(self.emulator.answers.take())
        return more

    def _next(self) -> bytes:
        """The next piece; none when there is none, so that the next to come is told of."""
        with self._room:
            if not self._waiting:
                self._told = False
                return b""
            piece = self._waiting.popleft()
            if len(piece) > PIECE_BYTES:
                self._waiting.appendleft(piece[PIECE_BYTES:])
                piece = piece[:PIECE_BYTES]
            self._waiting_bytes -= len(piece)
            self._room.notify_all()
            return piece

    # -- its threads -------------------------------------------------------------------------------------------

    def _type(self) -> None:
        while not self._closed.is_set():
            data = self._typed.get()
            taken = not data or self.stdin.write(data)
            with self._room:
                self._typed_bytes -= len(data)
            if not taken:
                return

    def _follow(self) -> None:
        self._persist()
        self.stdin.shut()
        self._tell()

    def _once(self, again: bool) -> None:
        """One connection's worth."""
        with closing(self._open(self, again)) as stream:
            self._stream = stream
            self._tell_size()
            self._came_back()
            for message in stream:
                if self._closed.is_set() or self._take(message):
                    return
        raise DaemonUnavailable("the daemon went away")

    def _take(self, message: "StreamMessage") -> bool:
        """One message; whether it is the last."""
        from core.daemon.streams import Dropped, Exit, Notice, Output, Started

        if isinstance(message, Output):
            self._wait(message.data[max(0, self.offset - message.offset) :])
            self.offset = max(self.offset, message.offset + len(message.data))
        elif isinstance(message, Started):
            self.command = message.id
        elif isinstance(message, Notice):
            self._wait(f"\r\n[vertui: {printable(message.text)}]\r\n".encode())
        elif isinstance(message, Dropped):
            self._wait(f"\r\n[vertui: {message.count} bytes of output are lost]\r\n".encode())
        elif isinstance(message, Exit):
            self.exit_code = message.code
            return True
        return False

    def _wait(self, data: bytes) -> None:
        """Put output in line, once there is room."""
        with self._room:
            self._room.wait_for(lambda: self._waiting_bytes < MOST_WAITING or self._closed.is_set())
            if data:
                self._waiting.append(data)
                self._waiting_bytes += len(data)
        self._tell()

    def _tell(self) -> None:
        with self._room:
            told, self._told = self._told, True
        if not told and not self._closed.is_set():
            self.on_news()

    def _tell_size(self) -> None:
        if (stream := self._stream) is not None:
            with suppress(DaemonUnavailable):
                stream.resize(self.emulator.rows, self.emulator.columns)
