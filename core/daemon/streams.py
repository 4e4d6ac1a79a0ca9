"""Exec, attach and console as seen by a client: a WebSocket each, blocking, for one thread.

First message, text: the request as JSON. Then from the daemon, binary: stream (1 stdout, 2 stderr), absolute
offset (u64, big-endian), bytes; text: {"started": id}, {"dropped": n, "stream": s}, {"exit": code, "timed_out": bool},
{"error": {"kind", "message"}}.
To the daemon, binary: stdin; text: {"eof": true}, {"resize": [rows, columns]}, {"signal": n}.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import WebSocketException
from websockets.sync.client import unix_connect

from core.daemon.codec import encode
from core.daemon.wire import HEADER, STDERR, STDOUT
from core.errors import DaemonUnavailable, by_kind
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


__all__ = ["STDERR", "STDOUT", "Dropped", "Exit", "Output", "Started", "Stream", "attach", "console", "run"]

StreamMessage = Output | Started | Dropped | Exit


class Stream:
    """One running command or console. Iterate it for messages; it ends after Exit. Close it or use `with`."""

    def __init__(self, home: Home, path: str, request: dict[str, Any]) -> None:
        self._stack = ExitStack()
        try:
            connecting = unix_connect(
                str(home.daemon_socket), f"ws://vertui{path}", compression=None, max_size=None
            )
            self._socket = self._stack.enter_context(connecting)
            self._socket.send(json.dumps(request))
        except (OSError, WebSocketException) as error:
            self._stack.close()
            raise DaemonUnavailable("the daemon does not answer: run `vertui daemon status`") from error

    def __iter__(self) -> Iterator[StreamMessage]:
        """Messages until Exit; raises what the daemon reports, DaemonUnavailable when it goes away."""
        try:
            for message in self._socket:
                decoded = _message(message)
                yield decoded
                if isinstance(decoded, Exit):
                    return
        except (OSError, WebSocketException) as error:
            raise DaemonUnavailable(
                "the daemon went away: `vertui exec --attach` goes on where this stopped"
            ) from error
        raise DaemonUnavailable("the daemon went away: `vertui exec --attach` goes on where this stopped")

    def write(self, data: bytes) -> None:
        """Send stdin."""
        self._send(data)

    def eof(self) -> None:
        """Close stdin."""
        self._send(json.dumps({"eof": True}))

    def resize(self, rows: int, columns: int) -> None:
        """Tell the command's terminal its size."""
        self._send(json.dumps({"resize": [rows, columns]}))

    def signal(self, number: int) -> None:
        """Send a signal to the command's group."""
        self._send(json.dumps({"signal": number}))

    def close(self) -> None:
        """Leave; the command runs on."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, data: str | bytes) -> None:
        try:
            self._socket.send(data)
        except (OSError, WebSocketException) as error:
            raise DaemonUnavailable("the daemon went away") from error


def run(home: Home, request: ExecRequest) -> Stream:
    """Start a command in a branch."""
    return Stream(home, "/v1/exec", encode(request))


def attach(home: Home, branch: str, command: int, stdout_offset: int = 0, stderr_offset: int = 0) -> Stream:
    """Go on reading a command from given offsets, also one inherited by a fork or already finished."""
    request = {
        "branch": branch,
        "id": command,
        "stdout_offset": stdout_offset,
        "stderr_offset": stderr_offset,
    }
    return Stream(home, "/v1/attach", request)


def console(home: Home, branch: str) -> Stream:
    """The machine's console: its last 64 KiB, then what it prints; `write` types into it. Never ends by itself."""
    return Stream(home, "/v1/console", {"branch": branch})


def _message(message: str | bytes) -> StreamMessage:
    if isinstance(message, bytes):
        stream, offset = HEADER.unpack_from(message)
        return Output(stream, offset, message[HEADER.size :])
    fields = json.loads(message)
    if "error" in fields:
        raise by_kind(fields["error"]["kind"], fields["error"]["message"])
    if "started" in fields:
        return Started(fields["started"])
    if "dropped" in fields:
        return Dropped(fields["stream"], fields["dropped"])
    return Exit(fields["exit"], fields.get("timed_out", False))
