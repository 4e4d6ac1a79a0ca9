"""Connections of the swapper's: bytes both ways, and HTTP/1.1 over them as h11 reads and writes it. Each wait ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

import h11

from core.patience import patient

PIECE_BYTES = 64 * 1024
LARGEST_HEAD = 64 * 1024  # of a request or an answer, without its body
WRITE_S = patient(600.0)  # for the other end to take what it is sent: a branch may be paused
LOOK_S = 1.0  # between looks whether somebody still waits for an answer
HANDSHAKE_S = patient(30.0)
GOODBYE_S = 1.0  # for TLS to end in good order
QUIET_S = 60  # without a byte, until the other end is asked whether it is there
UNANSWERED = 120  # times: a branch that is paused for two hours still has its connections

Event = (
    h11.Request
    | h11.InformationalResponse
    | h11.Response
    | h11.Data
    | h11.EndOfMessage
    | h11.ConnectionClosed
)


class ByteStream:
    """One connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, under: ByteStream | None = None
    ) -> None:
        self._reader, self._writer = reader, writer
        self._under = under  # kept as long as what it carries: a writer that nobody has closes its connection

    @classmethod
    async def over(cls, descriptor: int) -> ByteStream:
        """Of a connected socket, which is the stream's from now on."""
        connection = socket.socket(fileno=descriptor)
        connection.setblocking(False)
        with contextlib.suppress(OSError):  # a Unix socket, in tests
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, QUIET_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, QUIET_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, UNANSWERED)
        try:
            return cls(*await asyncio.open_connection(sock=connection, limit=PIECE_BYTES))
        except BaseException:
            connection.close()
            raise

    async def secured(self, context: ssl.SSLContext, *, host: str | None = None) -> ByteStream:
        """TLS over it, as the client of a host, or as the server. OSError, ssl.SSLError."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(PIECE_BYTES, loop)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport = await loop.start_tls(
            self._writer.transport, protocol, context, server_side=host is None, server_hostname=host,
            ssl_handshake_timeout=HANDSHAKE_S, ssl_shutdown_timeout=GOODBYE_S,
        )  # fmt: skip
        if transport is None:
            raise ConnectionResetError("it has left")
        protocol.connection_made(transport)
        return ByteStream(reader, asyncio.StreamWriter(transport, protocol, reader, loop), under=self)

    @property
    def has_ended(self) -> bool:
        """Will the other end say no more, all of it having been read?"""
        return self._reader.at_eof() or self._writer.transport.is_closing()

    async def ended(self) -> None:
        """Wait until it has, without reading: bytes that wait to be read do not end it."""
        while not self.has_ended:
            await asyncio.sleep(LOOK_S)

    async def read(self) -> bytes:
        """Some bytes, as soon as there are any; none at the end."""
        return await self._reader.read(PIECE_BYTES)

    async def write(self, data: bytes) -> None:
        """Send all, as fast as the other end takes it."""
        self._writer.write(data)
        async with asyncio.timeout(WRITE_S):
            await self._writer.drain()

    def end(self) -> bool:
        """Tell that no more is sent; False when only closing tells that."""
        if not self._writer.can_write_eof():
            return False
        with contextlib.suppress(OSError):
            self._writer.write_eof()
        return True

    async def close(self) -> None:
        """Send what is still to be sent, and hang up. OSError, TimeoutError."""
        self._writer.close()
        async with asyncio.timeout(WRITE_S):
            await self._writer.wait_closed()

    def abort(self) -> None:
        """Hang up at once: nobody takes what was broken off for whole."""
        self._writer.transport.abort()


class Side:
    """One side of requests and answers."""

    def __init__(self, stream: ByteStream, role: type[h11.CLIENT] | type[h11.SERVER]) -> None:
        self.stream = stream
        self.http = h11.Connection(role, max_incomplete_event_size=LARGEST_HEAD)

    async def event(self, within_s: float) -> Event:
        """What the other end says next. h11.RemoteProtocolError when that is no HTTP, TimeoutError, OSError."""
        async with asyncio.timeout(within_s):
            while (event := self.http.next_event()) is h11.NEED_DATA:
                self.http.receive_data(await self.stream.read())
        if not isinstance(event, Event):  # h11.PAUSED
            raise h11.RemoteProtocolError("it does not wait for the answer")
        return event

    async def send(self, event: Event) -> None:
        """Say it. h11.LocalProtocolError when it cannot be said, OSError, TimeoutError."""
        if data := self.http.send(event):
            await self.stream.write(data)

    def goes_on(self) -> bool:
        """Is all said, and may another request follow on the same connection?"""
        if self.http.our_state is h11.DONE and self.http.their_state is h11.DONE:
            self.http.start_next_cycle()
            return True
        return False


async def joined(one: ByteStream, other: ByteStream) -> None:
    """Carry bytes both ways, unread, until both have ended, or one has that only ends by closing."""
    ways = [asyncio.create_task(_carried(*pair)) for pair in ((one, other), (other, one))]
    try:
        done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        if all(not way.exception() and way.result() for way in done):
            await asyncio.wait(ways)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _carried(source: ByteStream, target: ByteStream) -> bool:
    while data := await source.read():
        await target.write(data)
    return target.end()
