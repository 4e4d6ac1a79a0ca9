"""Exec, attach and console as seen by a client: a WebSocket each, read by one thread, written to by any.

First message, text: the request as JSON. Then from the daemon, binary: stream (1 stdout, 2 stderr), absolute
offset (u64, big-endian), bytes; text: {"started": id, "stdin": [received, taken]}, {"taken": offset of stdin},
{"shut": true} (the command takes no more stdin), {"dropped": n, "stream": s}, {"notice": text},
{"exit": code, "timed_out": bool}, {"error": {"kind", "message"}}.
To the daemon, binary: stdin; text: {"eof": true}, {"resize": [rows, columns]}, {"signal": n}, {"seen": total},
{"leave": true}.

Each direction has a window of 256 KiB. Of stdin at most so much is sent beyond what was taken; of output, beyond what
was seen, where each binary message counts its bytes and 64 more. A connection that ends before the command does is a
hang-up: its stdin ends and it gets SIGHUP, unless the request says that it `outlives` its client, the client left or
had attached as one who looks on, or it was the daemon that went.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from core.codec import encode
from core.daemon.input import Input
from core.daemon.websocket import Message, WebSocket, WebSocketException
from core.daemon.wire import HEADER, STDERR, STDOUT
from core.errors import DaemonUnavailable, VertuiError, by_kind
from core.guest.agent.wire import FRAME_COST, WINDOW_BYTES
from core.home import Home
from core.model import ExecRequest


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
    "Started",
    "Stream",
    "attach",
    "console",
    "run",
]

StreamMessage = Output | Started | Dropped | Notice | Exit
SEEN_EVERY = WINDOW_BYTES // 4


class Stream:
    """One running command or console. Iterate it for messages; it ends after Exit. Close it or use `with`."""

    def __init__(self, home: Home, path: str, request: dict[str, Any], stdin: Input | None = None) -> None:
        self.stdin = stdin or Input()
        self._lasts = stdin is not None
        self._sent: int | None = None
        self._eof_sent = False
        self._messages: SimpleQueue[StreamMessage | VertuiError] = SimpleQueue()
        try:
            self._line = WebSocket(home, path, self._next_input, self._receive, self._ended)
        except (OSError, WebSocketException) as error:
            raise DaemonUnavailable("the daemon does not answer: run `vertui daemon status`") from error
        self.stdin.on_change = self._line.wake
        self._line.send(json.dumps(request))
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
                self._line.send(json.dumps({"seen": seen}))

    def write(self, data: bytes) -> bool:
        """Send stdin, waiting while a window of it has not been taken; False when the command takes no more."""
        return self.stdin.write(data)

    def eof(self) -> None:
        """Close stdin."""
        self.stdin.eof()

    def resize(self, rows: int, columns: int) -> None:
        """Tell the command's terminal its size."""
        self._send({"resize": [rows, columns]})

    def signal(self, number: int) -> None:
        """Send a signal to the command's group."""
        self._send({"signal": number})

    def leave(self) -> None:
        """Let the command run on, and close."""
        self._send({"leave": True})
        self.close()

    def close(self) -> None:
        """End the connection: a command that has not ended hangs up, unless it outlives its client."""
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, fields: dict[str, Any]) -> None:
        if not self._line.send(json.dumps(fields)):
            raise DaemonUnavailable("the daemon went away")

    def _next_input(self) -> Message | None:
        """What to send when nothing more urgent is to be sent."""
        if self._sent is None or self._eof_sent:
            return None
        data = self.stdin.after(self._sent)
        if data is None:
            self._eof_sent = True
            return json.dumps({"eof": True})
        self._sent += len(data)
        return data or None

    def _receive(self, message: Message) -> None:
        if isinstance(message, bytes):
            stream, offset = HEADER.unpack_from(message)
            self._messages.put(Output(stream, offset, message[HEADER.size :]))
            return
        fields = json.loads(message)
        if "taken" in fields:
            self.stdin.taken(fields["taken"])
        elif "shut" in fields:
            self.stdin.shut()
        else:
            self._receive_message(fields)

    def _receive_message(self, fields: dict[str, Any]) -> None:
        if "started" in fields:
            self._sent = int(fields["stdin"][0])
            self.stdin.begin(*fields["stdin"])
        told = _message(fields)
        if isinstance(told, Exit | VertuiError):
            self.stdin.shut()
        self._messages.put(told)

    def _ended(self, reason: VertuiError | None) -> None:
        failure = reason or DaemonUnavailable("the daemon went away")
        if not self._lasts:
            self.stdin.fail(failure)
        self._messages.put(failure)


def run(home: Home, request: ExecRequest, stdin: Input | None = None, *, again: bool = False) -> Stream:
    """Start a command in a branch; `again` when it may have been started by the same request already.

    A `stdin` that is given outlasts the connection.
    """
    return Stream(home, "/v1/exec", encode(request) | {"again": again}, stdin)


def attach(
    home: Home,
    branch: str,
    command: int,
    stdout_offset: int = 0,
    stderr_offset: int = 0,
    *,
    owner: bool = False,
    stdin: Input | None = None,
) -> Stream:
    """Go on reading a command from given offsets, also one inherited by a fork or already finished.

    The `owner` is the client that started it: it is back after its connection broke.
    """
    request = {
        "branch": branch,
        "id": command,
        "stdout_offset": stdout_offset,
        "stderr_offset": stderr_offset,
        "owner": owner,
    }
    return Stream(home, "/v1/attach", request, stdin)


def console(home: Home, branch: str) -> Stream:
    """The machine's console: its last 64 KiB, then what it prints; `write` types into it. Never ends by itself."""
    return Stream(home, "/v1/console", {"branch": branch})


def _message(fields: dict[str, Any]) -> StreamMessage | VertuiError:
    if "error" in fields:
        return by_kind(fields["error"]["kind"], fields["error"]["message"])
    if "started" in fields:
        return Started(fields["started"])
    if "dropped" in fields:
        return Dropped(fields["stream"], fields["dropped"])
    if "notice" in fields:
        return Notice(fields["notice"])
    return Exit(fields["exit"], fields.get("timed_out", False))
