"""Exec, attach and console as seen by a client: a WebSocket each, read by one thread, written to by any.

First message, text: the request as JSON, `ExecStart`, `AttachStart` or `ConsoleStart` of `core.daemon.wire`. Then from
the daemon, binary: stream (1 stdout, 2 stderr), absolute offset (u64, big-endian), bytes; text: `Said`. To the daemon,
binary: stdin; text: `Order`.

Each direction has a window of 256 KiB. Of stdin at most so much is sent beyond what was taken; of output, beyond what
was seen, where each binary message counts its bytes and 64 more. A connection that ends before the command does is a
hang-up: its stdin ends and it gets SIGHUP, unless the request says that it `outlives` its client, the client left or
had attached as one who looks on, or it was the daemon that went.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from core.codec import decode, encode
from core.daemon.endpoint import Endpoint, no_answer
from core.daemon.input import Input
from core.daemon.websocket import Message, WebSocket, WebSocketException
from core.daemon.wire import HEADER, STDERR, STDOUT, AttachStart, ConsoleStart, Order, Said
from core.errors import DaemonUnavailable, VertuiError, by_kind
from core.guest.agent.wire import FRAME_COST, WINDOW_BYTES
from core.model import ExecRequest
from core.patience import patient


@dataclass(frozen=True)
class Output:
    """Bytes of one stream at an absolute offset."""

    stream: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class Started:
    """The command's id in its guest: what `attach` and `ps` speak of."""

    id: int


@dataclass(frozen=True)
class Dropped:
    """Bytes that left the guest's ring before they could be read."""

    stream: int
    count: int


@dataclass(frozen=True)
class Exit:
    """How the command ended; 128+n after signal n, 124 when timed out."""

    code: int
    timed_out: bool


@dataclass(frozen=True)
class Signalled:
    """The signal of this key need not be said again: it was done, or a notice told why it may not have been."""

    key: str


@dataclass(frozen=True)
class Notice:
    """Something a person should know: what was asked may not have been done."""

    text: str


__all__ = [
    "STDERR",
    "STDOUT",
    "Dropped",
    "Exit",
    "Input",
    "Notice",
    "Output",
    "Signalled",
    "Started",
    "Stream",
    "attach",
    "console",
    "run",
]

StreamMessage = Output | Started | Dropped | Signalled | Notice | Exit
SEEN_EVERY = WINDOW_BYTES // 4
LEAVE_S = patient(5.0)  # for a guest to know that its command was left


class Stream:
    """One running command or console. Iterate it for messages; it ends after Exit. Close it or use `with`."""

    def __init__(self, endpoint: Endpoint, path: str, request: object, stdin: Input | None = None) -> None:
        self.stdin = stdin or Input()
        self._lasts = stdin is not None
        self._sent: int | None = None
        self._eof_sent = False
        self._left = False
        self._settled = threading.Event()
        self._messages: SimpleQueue[StreamMessage | VertuiError] = SimpleQueue()
        try:
            self._line = WebSocket(endpoint, path, self._next_input, self._receive, self._ended)
        except (OSError, WebSocketException) as error:
            raise DaemonUnavailable(no_answer(endpoint)) from error
        self.stdin.on_change = self._line.wake
        self._line.send(_text(request))
        self._line.start()

    def __iter__(self) -> Iterator[StreamMessage]:
        """Messages until Exit; raises what the daemon reports, DaemonUnavailable when it goes away."""
        seen = told = 0
        while True:
            message = self._messages.get()
            if isinstance(message, VertuiError):
                raise message
            yield message
            if isinstance(message, Exit):
                return
            if isinstance(message, Output):
                seen += len(message.data) + FRAME_COST
            if seen - told >= SEEN_EVERY:
                told = seen
                self._line.send(_text(Order(seen=seen)))

    def write(self, data: bytes) -> bool:
        """Send stdin, waiting while a window of it has not been taken; False when the command takes no more."""
        return self.stdin.write(data)

    def eof(self) -> None:
        """Close stdin."""
        self.stdin.eof()

    def resize(self, rows: int, columns: int) -> None:
        """Tell the command's terminal its size."""
        self._send(Order(resize=(rows, columns)))

    def signal(self, number: int, key: str = "") -> None:
        """Send a signal to the command's group; with a `key` it may be said again, and `Signalled` tells of it."""
        self._send(Order(signal=number, key=key))

    def leave(self) -> None:
        """Let the command run on, and close; DaemonUnavailable when it is not sure that it does."""
        self._send(Order(leave=True))
        self._settled.wait(LEAVE_S)
        self.close()
        if not self._left:
            raise DaemonUnavailable("the daemon went away")

    def close(self) -> None:
        """End the connection: a command that has not ended hangs up, unless it outlives its client."""
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, order: Order) -> None:
        if not self._line.send(_text(order)):
            raise DaemonUnavailable("the daemon went away")

    def _next_input(self) -> Message | None:
        """What to send when nothing more urgent is to be sent."""
        if self._sent is None or self._eof_sent:
            return None
        data = self.stdin.after(self._sent)
        if data is None:
            self._eof_sent = True
            return _text(Order(eof=True))
        self._sent += len(data)
        return data or None

    def _receive(self, message: Message) -> None:
        if isinstance(message, bytes):
            stream, offset = HEADER.unpack_from(message)
            self._messages.put(Output(stream, offset, message[HEADER.size :]))
            return
        said = decode(Said, json.loads(message))
        if said.taken is not None:
            self.stdin.taken(said.taken)
        elif said.shut:
            self.stdin.shut()
        elif said.left:
            self._left = True
            self._settled.set()
        else:
            self._receive_message(said)

    def _receive_message(self, said: Said) -> None:
        if said.started is not None:
            self._sent = said.stdin[0]
            self.stdin.begin(*said.stdin)
        told = _message(said)
        if isinstance(told, Exit | VertuiError):
            self.stdin.shut()
        self._messages.put(told)

    def _ended(self, reason: VertuiError | None) -> None:
        failure = reason or DaemonUnavailable("the daemon went away")
        if not self._lasts:
            self.stdin.fail(failure)
        self._messages.put(failure)
        self._settled.set()


def run(
    endpoint: Endpoint, request: ExecRequest, stdin: Input | None = None, *, again: bool = False
) -> Stream:
    """Start a command in a branch; `again` when it may have been started by the same request already.

    A `stdin` that is given outlasts the connection.
    """
    return Stream(endpoint, "/v1/exec", encode(request) | {"again": again}, stdin)


def attach(
    endpoint: Endpoint,
    branch: str,
    command: int,
    stdout_offset: int = 0,
    stderr_offset: int = 0,
    *,
    owner: bool = False,
    looks: bool = False,
    stdin: Input | None = None,
    asked: ExecRequest | None = None,
) -> Stream:
    """Go on reading a command from given offsets, also one inherited by a fork or already finished.

    The `owner` is the client that started it, as it `asked`: it is back after its connection broke. One who only
    `looks` neither wakes a suspended branch nor keeps one from being suspended.
    """
    request = AttachStart(branch, command, stdout_offset, stderr_offset, owner, looks, asked)
    return Stream(endpoint, "/v1/attach", request, stdin)


def console(endpoint: Endpoint, branch: str) -> Stream:
    """The machine's console: its last 64 KiB, then what it prints; `write` types into it. Never ends by itself."""
    return Stream(endpoint, "/v1/console", ConsoleStart(branch))


def _text(message: object) -> str:
    return json.dumps(encode(message))


def _message(said: Said) -> StreamMessage | VertuiError:
    if said.error is not None:
        return by_kind(said.error.kind, said.error.message)
    if said.started is not None:
        return Started(said.started)
    if said.dropped is not None:
        return Dropped(said.stream, said.dropped)
    if said.signalled is not None:
        return Signalled(said.signalled)
    if said.notice is not None:
        return Notice(said.notice)
    return Exit(said.exit or 0, said.timed_out)
