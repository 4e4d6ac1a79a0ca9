"""One line to an agent: the greeting, frames in and out, and the gate that holds them back during a capture."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

from core.async_sockets import open_line
from core.errors import GuestFailed, UsageError
from core.files import want_of_means
from core.guest.agent import wire
from core.guest.answers import malformed
from core.patience import patient

READ_BYTES = 64 * 1024
PROTOCOLS = (wire.PROTOCOL, 3, 2, 1)
"""What is spoken here; images made by an earlier version hold an agent that knows fewer frames or requests."""

FIRST_WAIT_S, LONGEST_WAIT_S = 0.3, 1.0
"""How soon a hello is repeated, at first and at most: an idle guest answers in milliseconds, under emulation a
fork in a tenth of a second, a booting one later."""

DRAIN_DEADLINE_S = patient(10.0)
"""What is under way is a frame or two; an agent that does not take them in this time answers nothing either."""

T = TypeVar("T")
Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Field = str | int | float | bool | list[str] | dict[str, str] | None
Fields = dict[str, Field]  # of a request
Receive = Callable[[wire.Frame], None]
Fail = Callable[[GuestFailed], None]


class Connection:
    """Carries frames for channels. When the line is lost every channel is told why, once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._channels: dict[int, tuple[Receive, Fail]] = {}
        self._last_channel = 0
        self._failure: GuestFailed | None = None
        self._lane = asyncio.Lock()
        self.protocol = wire.PROTOCOL
        self.noted = (
            asyncio.Event()
        )  # a program of the guest's has something for the journal, or the line is lost
        self._open = asyncio.Event()
        self._open.set()
        self._holds = 0
        self._postponed: list[bytes] = []
        self._task: asyncio.Task[None] | None = None
        _drain_fully(writer)

    @classmethod
    async def connect(cls, path: Path, deadline_s: float) -> Connection:
        """Reach the agent behind a chardev socket; GuestFailed when it has not answered within the deadline."""
        try:
            async with asyncio.timeout(deadline_s):
                reader, writer = await _open_socket(path)
                try:
                    connection = cls(reader, writer)
                    rest = await connection._greet()
                except BaseException:
                    writer.close()
                    raise
        except TimeoutError as error:
            raise GuestFailed(f"the agent in the guest did not answer within {deadline_s:g} s") from error
        connection._task = asyncio.create_task(connection._receive(rest))
        return connection

    async def _greet(self) -> bytes:
        """Say hello until it is answered; returns what followed the answer.

        The first time without zeros, which a guest that was captured between frames does not need.
        """
        nonce = secrets.token_bytes(wire.NONCE_BYTES)
        replies = {wire.hello_reply(nonce, protocol): protocol for protocol in PROTOCOLS}
        longest = max(map(len, replies))
        seen, wait_s, zeros = b"", FIRST_WAIT_S, b""
        while True:
            if not self._writer.transport.get_write_buffer_size():  # else nobody listens yet: do not pile up
                self._writer.write(zeros + wire.frame(wire.HELLO, 0, nonce))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    while not (found := [reply for reply in replies if reply in seen]):
                        seen = seen[-longest:] + await self._read()
                    self.protocol = replies[found[0]]
                    return seen.partition(found[0])[2]
            wait_s, zeros = min(2 * wait_s, LONGEST_WAIT_S), wire.RESYNC

    async def _read(self) -> bytes:
        try:
            data = await self._reader.read(READ_BYTES)
        except OSError as error:
            raise GuestFailed(f"the line to the guest broke: {error.strerror}") from error
        if not data:
            raise GuestFailed("the line to the guest was closed")
        return data

    async def _receive(self, data: bytes) -> None:
        frames = wire.Frames(strict=True)
        try:
            while True:
                for frame in frames.feed(data):
                    if frame.type == wire.START:
                        raise GuestFailed(
                            "the guest's agent was started again: what it was doing is not known to it"
                        )
                    if frame.type == wire.NOTED:
                        self.noted.set()
                    elif frame.channel in self._channels:
                        self._channels[frame.channel][0](frame)
                data = await self._read()
        except wire.WireError as error:
            self._fail(malformed(str(error)))
        except GuestFailed as error:
            self._fail(error)

    def _fail(self, failure: GuestFailed) -> None:
        if self._failure is None:
            self._failure = failure
            self._open.set()
            self.noted.set()
            self._writer.close()
            for _, fail in list(self._channels.values()):
                fail(failure)
            self._channels.clear()

    @property
    def lost(self) -> bool:
        """Has the line ended?"""
        return self._failure is not None

    def open_channel(self, receive: Receive, fail: Fail) -> int:
        """A channel number never used before on this line; GuestFailed when the line is lost.

        `receive` gets its frames; a WireError or GuestFailed it raises ends the line, of which `fail` is told.
        """
        self._check()
        self._last_channel += 1
        self._channels[self._last_channel] = receive, fail
        return self._last_channel

    def close_channel(self, channel: int) -> None:
        """Drop whatever still arrives for this channel."""
        self._channels.pop(channel, None)

    async def ask(
        self, frame: bytes, answer: asyncio.Future[T], deadline_s: float, *, undo: bytes, urgent: bool = False
    ) -> T:
        """Write a request, once the gate is open unless it is urgent, and wait for its answer.

        GuestFailed when the line is lost. When nobody waits any more, after the deadline (TimeoutError) or because
        the caller was cancelled, `undo` is written: what the guest has not begun by then it does not begin.
        """
        await self._pass(urgent=urgent)
        self._writer.write(frame)
        try:
            async with asyncio.timeout(deadline_s):
                return await answer
        except (TimeoutError, asyncio.CancelledError):
            (self.post_urgent if urgent else self.post)(undo)
            raise

    async def send_data(self, make: Callable[[], bytes]) -> None:
        """Write a frame of data, made when its turn comes: one at a time for all channels, so that a request or
        acknowledgement never waits for more than that one."""
        async with self._lane:
            await self._pass(urgent=False)
            self._writer.write(make())
            with suppress(ConnectionError):  # the reader finds out, and says so to all
                await self._writer.drain()

    async def _pass(self, *, urgent: bool) -> None:
        """Wait for the gate; GuestFailed when the line is lost."""
        while not (urgent or self._open.is_set()):
            await self._open.wait()
        self._check()

    def post(self, frame: bytes) -> None:
        """Write a small frame without waiting; kept back while the gate is closed."""
        if self._failure is None:
            if self._holds:
                self._postponed.append(frame)
            else:
                self._writer.write(frame)

    def post_urgent(self, frame: bytes) -> None:
        """Write a small frame without waiting, gate or not."""
        if self._failure is None:
            self._writer.write(frame)

    async def hold(self) -> None:
        """Close the gate: when this returns nothing is half written, and only urgent frames will be.

        GuestFailed when the line is lost or the guest takes nothing; the gate is then as it was.
        """
        self._holds += 1
        self._open.clear()
        try:
            with suppress(ConnectionError):
                async with asyncio.timeout(DRAIN_DEADLINE_S):
                    await self._writer.drain()
            self._check()
        except TimeoutError as error:
            self.release()
            raise GuestFailed(
                f"the guest took nothing of what it is sent for {DRAIN_DEADLINE_S:g} s"
            ) from error
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Open the gate again, once for each `hold`."""
        self._holds -= 1
        if self._holds == 0:
            self._open.set()
            postponed, self._postponed = self._postponed, []
            for frame in postponed:
                self.post(frame)

    @asynccontextmanager
    async def gate(self) -> AsyncIterator[None]:
        """`hold` for the time of a block."""
        await self.hold()
        try:
            yield
        finally:
            self.release()

    async def move(self, line: Line) -> Line:
        """Go on over another socket, which reaches the same guest in another process; the socket left, still open.

        Only for a guest that is frozen, behind a closed gate: neither side then has anything under way, so that
        no greeting is needed and no channel notices.
        """
        self._check()
        await self._stop_receiving()
        left, (self._reader, self._writer) = (self._reader, self._writer), line
        _drain_fully(self._writer)
        self._task = asyncio.create_task(self._receive(b""))
        return left

    async def _stop_receiving(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _check(self) -> None:
        if self._failure is not None:
            raise GuestFailed(str(self._failure))

    async def close(self) -> None:
        """End the line; what still waits on it fails, and what the guest has not read by now it never gets."""
        self._fail(GuestFailed("the line to the guest was closed"))
        await self._stop_receiving()
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()


def _drain_fully(writer: asyncio.StreamWriter) -> None:
    """Let drain() wait until nothing is left to write."""
    writer.transport.set_write_buffer_limits(high=0)


async def _open_socket(path: Path) -> Line:
    """Connect, waiting for QEMU to make the socket."""
    while True:
        try:
            return await open_line(path)
        except (FileNotFoundError, ConnectionRefusedError):
            await asyncio.sleep(0.02)
        except OSError as error:
            failure = GuestFailed(f"cannot reach the guest: {error.strerror}")
            raise want_of_means(error, "the line to the guest") or failure from error


def request_frame(channel: int, op: str, fields: Fields) -> bytes:
    """A request; UsageError when what it carries is too long for a frame."""
    try:
        return wire.json_frame(wire.REQUEST, channel, {"op": op, **fields})
    except wire.WireError as error:
        raise UsageError(
            f"{op}: arguments and environment are longer than {wire.MAX_PAYLOAD} bytes"
        ) from error
