"""A command in a guest, followed: its output comes as an async iterator, its input goes the other way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import IntEnum
from signal import SIGHUP
from typing import Any, Protocol, TypeVar

from core.errors import GuestFailed
from core.guest.agent import wire
from core.guest.answers import CommandStarted, Done, Ended, payload, problem
from core.guest.connection import Connection, Field, request_frame

T = TypeVar("T")
UNKNOWN = "it was told to give it up, but may have done it"
"""What is known of a request that was not answered in time."""


class StreamName(IntEnum):
    """Which output. A command on a terminal has only the first."""

    STDOUT = 0
    STDERR = 1


@dataclass(frozen=True)
class CommandOutput:
    """Bytes of a stream; `dropped` bytes before `offset` were overwritten in the guest before they could be sent."""

    stream: StreamName
    offset: int
    data: bytes
    dropped: int = 0


@dataclass(frozen=True)
class CommandExit:
    """How a command ended. `code` is as a shell has it (128 + signal; 124 when timed out)."""

    code: int
    signal: int | None
    timed_out: bool
    stdout_bytes: int
    stderr_bytes: int


class Ask(Protocol):
    """How a stream makes requests of its own (AgentClient.request)."""

    async def __call__(self, kind: type[T], op: str, **fields: Any) -> T:
        """Send a request and return its answer."""


class CommandStream(AsyncIterator[CommandOutput | CommandExit]):
    """Yields `CommandOutput` as it comes and at last one `CommandExit`; raises GuestFailed when the line is lost.

    What arrives faster than it is taken waits in the guest: at most a window (256 KiB) is held here. Whoever passes
    output on takes it by `take` and says by `consumed` what has arrived: the guest keeps the rest for it.
    """

    def __init__(self, connection: Connection, ask: Ask, offsets: tuple[int, int]) -> None:
        self.id = 0
        self.pid = 0
        self.again: bool | None = None
        self._connection = connection
        self._ask = ask
        self._offsets = list(offsets)
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrived: deque[tuple[int, CommandOutput | CommandExit]] = deque()
        self._changed = asyncio.Event()
        self._failure: GuestFailed | None = None
        self._over = False
        self._received = self._taken = self._consumed = self._acked = 0
        self.stdin_sent = self.stdin_taken = 0
        self.stdin_shut = False
        self.channel = connection.open_channel(self._receive, self._fail)

    async def start(self, frame: bytes, undo: bytes, deadline_s: float) -> None:
        """Send the exec or attach request and wait for its answer."""
        try:
            await self._connection.ask(frame, self._started, deadline_s, undo=undo)
        except BaseException as error:
            self._connection.close_channel(self.channel)
            if isinstance(error, TimeoutError):
                late = f"the agent did not take the command up within {deadline_s:g} s"
                raise GuestFailed(f"{late}: {UNKNOWN}") from error
            raise

    def _receive(self, frame: wire.Frame) -> None:
        if frame.type == wire.REPLY and not self._started.done():
            self._begin(payload(frame, CommandStarted))
        elif frame.type == wire.ERROR:
            failure = GuestFailed(problem(frame))
            self._connection.close_channel(self.channel)
            self._fail(failure)
        elif frame.type in (wire.STDOUT, wire.STDERR):
            self._receive_output(StreamName(frame.type - wire.STDOUT), *frame.data())
        elif frame.type == wire.STDIN_ACK:
            self.stdin_taken = max(self.stdin_taken, min(frame.data()[0], self.stdin_sent))
        elif frame.type == wire.STDIN_SHUT:
            self.stdin_shut = True
        elif frame.type == wire.EXIT:
            self._receive_exit(payload(frame, Ended))
        else:
            raise wire.WireError(f"frame of type {frame.type} for a command")
        self._changed.set()

    def _begin(self, answer: CommandStarted) -> None:
        """Take the answer in as it comes: an acknowledgement may stand right behind it."""
        self.id, self.pid, self.again, self.stdin_sent = (
            answer.id,
            answer.pid,
            answer.again,
            answer.stdin_offset,
        )
        self.stdin_taken = self.stdin_sent if answer.stdin_taken is None else answer.stdin_taken
        self._started.set_result(None)

    def _receive_output(self, stream: StreamName, offset: int, data: bytes) -> None:
        dropped = offset - self._offsets[stream]
        cost = len(data) + wire.FRAME_COST
        self._received += cost
        if dropped < 0 or self._received - self._consumed > wire.WINDOW_BYTES:
            raise wire.WireError("output that repeats itself or exceeds the window")
        self._offsets[stream] = offset + len(data)
        self._arrived.append((cost, CommandOutput(stream, offset, data, dropped)))

    def _receive_exit(self, end: Ended) -> None:
        self._arrived.append((0, CommandExit(end.code & 0xFF, end.signal, end.timed_out, *end.bytes)))
        self._connection.close_channel(self.channel)

    def _fail(self, failure: GuestFailed) -> None:
        self._failure = failure
        if not self._started.done():
            self._started.set_exception(failure)
            self._started.exception()  # fetched: a start that was cancelled is not reported as never retrieved
        self._changed.set()

    async def __anext__(self) -> CommandOutput | CommandExit:
        if self._over and not self._arrived:
            raise StopAsyncIteration
        item = await self.take()
        if item is None:
            raise StopAsyncIteration
        self.consumed(self._taken)
        return item

    async def take(self) -> CommandOutput | CommandExit | None:
        """The next item, which is still to be `consumed`; None once following has ended."""
        while not self._arrived:
            if self._over:
                return None
            if self._failure is not None:
                raise GuestFailed(str(self._failure))
            await self.changed()
        cost, item = self._arrived.popleft()
        self._over = isinstance(item, CommandExit)
        self._taken += cost
        return item

    @property
    def ended(self) -> bool:
        """Has the command's end arrived, taken or not, or will nothing more?"""
        arrived = bool(self._arrived) and isinstance(self._arrived[-1][1], CommandExit)
        return arrived or self._over or self._failure is not None

    async def changed(self) -> None:
        """Wait until anything arrives."""
        self._changed.clear()
        await self._changed.wait()

    def consumed(self, total: int) -> None:
        """Of all output so far this much has been used up, each item counted with FRAME_COST."""
        self._consumed = max(self._consumed, min(total, self._taken))
        if self._consumed - self._acked >= wire.ACK_EVERY_BYTES:
            self._acked = self._consumed
            self._connection.post(wire.frame(wire.OUTPUT_ACK, self.channel, wire.OFFSET.pack(self._acked)))

    async def write_stdin(self, data: bytes) -> None:
        """Send input, waiting while a window of it has not been read.

        What comes after the command has ended or closed its input is dropped, as by a pipe.
        """
        for at in range(0, len(data), wire.CHUNK_BYTES):
            chunk = data[at : at + wire.CHUNK_BYTES]
            while self._takes_input() and self.stdin_sent + len(chunk) - self.stdin_taken > wire.WINDOW_BYTES:
                await self.changed()
            await self._send_input(chunk)

    async def eof(self) -> None:
        """Close the command's standard input, after what was sent."""
        await self._send_input(b"")

    async def _send_input(self, data: bytes) -> None:
        if self._takes_input():
            await self._connection.send_data(lambda: self._input_frame(data))

    def _input_frame(self, data: bytes) -> bytes:
        offset = self.stdin_sent
        self.stdin_sent += len(data)
        return wire.frame(wire.STDIN, self.channel, wire.OFFSET.pack(offset) + data)

    def _takes_input(self) -> bool:
        """Does the command read on, as far as is known? GuestFailed when the line is lost."""
        return self._following() and not self.stdin_shut

    def _following(self) -> bool:
        if self._failure is not None:
            raise GuestFailed(str(self._failure))
        return not (self._over or (self._arrived and isinstance(self._arrived[-1][1], CommandExit)))

    async def resize(self, rows: int, columns: int) -> None:
        """Tell the command its terminal's size."""
        await self._ask(Done, "resize", id=self.id, rows=rows, columns=columns)

    async def signal(self, signum: int, key: str = "") -> None:
        """Signal the command's process group; SIGKILL reaches everything it started.

        With a `key` it is done once, however often it is said.
        """
        await self._ask(Done, "signal", id=self.id, signum=signum, key=key)

    async def detach(self) -> None:
        """Follow no more; the command runs on. What has arrived can still be read."""
        if self._following():
            self._leave()
            await self._ask(Done, "detach", channel=self.channel)

    async def hang_up(self) -> None:
        """Follow no more, as a terminal that is closed: the command's input ends, and it gets SIGHUP.

        No answer is waited for: a guest that is slow does it all the same.
        """
        if self._following():
            await self.eof()
            self._tell("signal", id=self.id, signum=SIGHUP)
            self._tell("detach", channel=self.channel)
            self._leave()

    def _tell(self, op: str, **fields: Field) -> None:
        self._connection.post(request_frame(0, op, fields))

    def _leave(self) -> None:
        self._connection.close_channel(self.channel)
        self._over = True
        self._changed.set()
