"""A command in a guest, followed: its output comes as an async iterator, its input goes the other way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

from core.errors import GuestFailed
from core.guest.agent import wire
from core.guest.answers import number, pair, payload, text
from core.guest.connection import Connection

ACK_EVERY = wire.WINDOW_BYTES // 4


class StreamName(IntEnum):
    """Which output. A command on a terminal has only the first."""

    STDOUT = 0
    STDERR = 1


@dataclass(frozen=True)
class Output:
    """Bytes of a stream; `dropped` bytes before `offset` were overwritten in the guest before they could be sent."""

    stream: StreamName
    offset: int
    data: bytes
    dropped: int = 0


@dataclass(frozen=True)
class Exit:
    """How a command ended. `code` is as a shell has it (128 + signal; 124 when timed out)."""

    code: int
    signal: int | None
    timed_out: bool
    stdout_bytes: int
    stderr_bytes: int


class Ask(Protocol):
    """How a stream makes requests of its own (AgentClient.request)."""

    async def __call__(self, op: str, **fields: Any) -> dict[str, Any]:
        """Send a request and return its answer."""


class CommandStream(AsyncIterator[Output | Exit]):
    """Yields `Output` as it comes and at last one `Exit`; raises GuestFailed when the line is lost.

    What arrives faster than it is taken waits in the guest: at most a window (256 KiB) is held here.
    """

    def __init__(self, connection: Connection, ask: Ask, offsets: tuple[int, int]) -> None:
        self.id = 0
        self.pid = 0
        self._connection = connection
        self._ask = ask
        self._offsets = list(offsets)
        self._started: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._arrived: deque[tuple[int, Output | Exit]] = deque()
        self._changed = asyncio.Event()
        self._failure: GuestFailed | None = None
        self._over = False
        self._received = self._consumed = self._acked = 0
        self._stdin_sent = self._stdin_acked = 0
        self.channel = connection.open_channel(self._receive, self._fail)

    async def start(self, frame: bytes, deadline_s: float) -> None:
        """Send the exec or attach request and wait for its answer."""
        try:
            await self._connection.send(frame)
            async with asyncio.timeout(deadline_s):
                answer = await self._started
            self.id, self.pid = number(answer, "id"), number(answer, "pid")
            self._stdin_sent = self._stdin_acked = number(answer, "stdin_offset")
        except BaseException as error:
            self._connection.close_channel(self.channel)
            if isinstance(error, TimeoutError):
                raise GuestFailed(f"the agent did not take the command up within {deadline_s:g} s") from error
            raise

    def _receive(self, frame: wire.Frame) -> None:
        if frame.type == wire.REPLY and not self._started.done():
            self._started.set_result(payload(frame))
        elif frame.type == wire.ERROR:
            failure = GuestFailed(text(payload(frame), "message"))
            self._connection.close_channel(self.channel)
            self._fail(failure)
        elif frame.type in (wire.STDOUT, wire.STDERR):
            self._receive_output(StreamName(frame.type - wire.STDOUT), *frame.data())
        elif frame.type == wire.STDIN_ACK:
            self._stdin_acked = max(self._stdin_acked, min(frame.data()[0], self._stdin_sent))
        elif frame.type == wire.EXIT:
            self._receive_exit(payload(frame))
        else:
            raise wire.WireError(f"frame of type {frame.type} for a command")
        self._changed.set()

    def _receive_output(self, stream: StreamName, offset: int, data: bytes) -> None:
        dropped = offset - self._offsets[stream]
        cost = len(data) + wire.FRAME_COST
        self._received += cost
        if dropped < 0 or self._received - self._consumed > wire.WINDOW_BYTES:
            raise wire.WireError("output that repeats itself or exceeds the window")
        self._offsets[stream] = offset + len(data)
        self._arrived.append((cost, Output(stream, offset, data, dropped)))

    def _receive_exit(self, end: dict[str, Any]) -> None:
        signal = None if end.get("signal") is None else number(end, "signal")
        code = number(end, "code") & 0xFF
        self._arrived.append((0, Exit(code, signal, end.get("timed_out") is True, *pair(end, "bytes"))))
        self._connection.close_channel(self.channel)

    def _fail(self, failure: GuestFailed) -> None:
        self._failure = failure
        if not self._started.done():
            self._started.set_exception(failure)
            self._started.exception()  # fetched: a start that was cancelled is not reported as never retrieved
        self._changed.set()

    async def __anext__(self) -> Output | Exit:
        while not self._arrived:
            if self._over:
                raise StopAsyncIteration
            if self._failure is not None:
                raise GuestFailed(str(self._failure))
            self._changed.clear()
            await self._changed.wait()
        cost, item = self._arrived.popleft()
        self._over = isinstance(item, Exit)
        self._consume(cost)
        return item

    def _consume(self, cost: int) -> None:
        self._consumed += cost
        if self._consumed - self._acked >= ACK_EVERY:
            self._acked = self._consumed
            self._connection.post(wire.frame(wire.OUTPUT_ACK, self.channel, wire.OFFSET.pack(self._acked)))

    async def write_stdin(self, data: bytes) -> None:
        """Send input, waiting while a window of it has not been read; GuestFailed when the command is over."""
        for at in range(0, len(data), wire.CHUNK_BYTES):
            chunk = data[at : at + wire.CHUNK_BYTES]
            while self._stdin_sent + len(chunk) - self._stdin_acked > wire.WINDOW_BYTES and self._following():
                self._changed.clear()
                await self._changed.wait()
            await self._send_input(chunk)

    async def eof(self) -> None:
        """Close the command's standard input, after what was sent."""
        await self._send_input(b"")

    async def _send_input(self, data: bytes) -> None:
        if self._following():
            offset = self._stdin_sent
            self._stdin_sent += len(data)
            await self._connection.send(wire.frame(wire.STDIN, self.channel, wire.OFFSET.pack(offset) + data))

    def _following(self) -> bool:
        """Does the command still run, as far as is known? Input for one that has ended is dropped, as by a pipe."""
        if self._failure is not None:
            raise GuestFailed(str(self._failure))
        return not (self._over or (self._arrived and isinstance(self._arrived[-1][1], Exit)))

    async def resize(self, rows: int, columns: int) -> None:
        """Tell the command its terminal's size."""
        await self._ask("resize", id=self.id, rows=rows, columns=columns)

    async def signal(self, signum: int) -> None:
        """Signal the command's process group; SIGKILL reaches everything it started."""
        await self._ask("signal", id=self.id, signum=signum)

    async def detach(self) -> None:
        """Follow no more; the command runs on. What has arrived can still be read."""
        self._connection.close_channel(self.channel)
        if self._following():
            self._over = True
            self._changed.set()
            await self._ask("detach", channel=self.channel)
