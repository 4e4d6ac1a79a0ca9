"""Doors carry whatever comes to whom it is for, whole, both ways, no faster than it is taken; nobody waits for ever."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from core.holder.listening import bound
from core.inward import PortProtocol
from core.network import datagrams, doors
from core.network.datagrams import DatagramDoor
from core.network.doors import Door, Lead, NoWay, Way
from core.network.hosts import asked_for
from core.network.nft import FD_SETSIZE

LOOPBACK = "127.0.0.1"
TCP, UDP = PortProtocol.TCP, PortProtocol.UDP
Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    """A program of a guest's; its port."""
    server = await asyncio.start_server(serve, LOOPBACK, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def door(lead: Lead) -> AsyncIterator[int]:
    """A door, and the host's port that it is."""
    listening = bound(LOOPBACK, 0, TCP)
    port = listening.getsockname()[1]
    made = Door(listening, lead)
    try:
        yield port
    finally:
        await made.close()


def to(port: int, **facts: object) -> Lead:
    async def lead(_: socket.socket) -> Way:
        return Way(LOOPBACK, port, **facts)  # type: ignore[arg-type]

    return lead


async def visit(port: int) -> Line:
    return await asyncio.open_connection(LOOPBACK, port)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say everything again once all was said: the other side has ended its half by then."""
    writer.write(await reader.read())
    writer.close()


async def test_all_is_carried_whole_and_each_half_ends_by_itself() -> None:
    said = bytes(range(256)) * 20_000
    async with serving(echo) as guest, door(to(guest)) as port:
        reader, writer = await visit(port)
        writer.write(said)
        writer.write_eof()
        assert await reader.read() == said
        writer.close()


async def test_a_guest_that_has_said_all_still_hears() -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"all")
        writer.write_eof()
        heard.put_nowait(await reader.read())
        writer.close()

    async with serving(serve) as guest, door(to(guest)) as port:
        reader, writer = await visit(port)
        assert await reader.read() == b"all"
        writer.write(b"late")
        writer.write_eof()
        assert await heard.get() == b"late"
        writer.close()


async def test_nothing_is_taken_that_the_guest_does_not_take() -> None:
    stays = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await stays.wait()
        writer.close()

    async with serving(serve) as guest, door(to(guest)) as port:
        _, writer = await visit(port)
        writer.transport.set_write_buffer_limits(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                for _ in range(1000):  # 64 MB: more than all kernel buffers on the way
                    writer.write(bytes(65536))
                    await writer.drain()
        stays.set()
        writer.transport.abort()


async def test_who_is_led_nowhere_or_to_nobody_is_cut_off_at_once() -> None:
    async def nowhere(_: socket.socket) -> Way:
        raise NoWay

    async with serving(echo) as gone:
        pass
    for lead in (nowhere, to(gone)):
        async with door(lead) as port:
            reader, writer = await visit(port)
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
    async with door(to(gone, sorry=b"nobody")) as port:
        reader, writer = await visit(port)
        assert await reader.read() == b"nobody"
        writer.close()


async def test_visits_end_with_the_machine_and_with_the_door() -> None:
    visits: set[asyncio.Task[None]] = set()
    async with serving(echo) as guest:
        async with door(to(guest, visits=visits)) as port:
            lines = [await visit(port) for _ in range(2)]
            while len(visits) < 2:
                await asyncio.sleep(0.01)
            next(iter(visits)).cancel()
            while len(visits) > 1:
                await asyncio.sleep(0.01)
        assert visits == set()
        for reader, writer in lines:
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()


async def test_more_visitors_than_are_let_in_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "MOST_VISITORS", 2)
    async with serving(echo) as guest, door(to(guest)) as port:
        lines = [await visit(port) for _ in range(4)]
        answers = [asyncio.create_task(reader.read()) for reader, _ in lines]
        for _, writer in lines[2:]:
            writer.write_eof()
        await asyncio.sleep(0.2)
        assert not any(answer.done() for answer in answers)
        for _, writer in lines[:2]:
            writer.write_eof()
        async with asyncio.timeout(60):
            await asyncio.gather(*answers)
        for _, writer in lines:
            writer.close()


async def test_sockets_stay_out_of_the_way_of_libnftables() -> None:
    listening = bound(LOOPBACK, 0, TCP)
    with doors.raised(listening) as high:
        assert listening.fileno() == -1 and high.fileno() >= FD_SETSIZE and not high.getblocking()


async def said(port: int, head: bytes) -> bytes:
    reader, writer = await visit(port)
    writer.write(head)
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_request_is_led_by_its_host_and_upgrades_stay_open() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + head.split(b"\r\n")[0])
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1000):
                writer.write(data.upper())
        writer.close()

    asked = []
    async with serving(serve) as guest:

        async def lead(visitor: socket.socket) -> Way:
            head, branch, port = await asked_for(visitor)
            asked.append((branch, port))
            return Way(LOOPBACK, guest, first=head)

        async with door(lead) as port:
            reader, writer = await visit(port)
            writer.write(b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n")
            await asyncio.sleep(0.05)
            writer.write(b"hOST:  3000.B1.localhost:7070\r\n\r\nframe")
            assert (await reader.readuntil(b"FRAME")).endswith(b"GET /chat HTTP/1.1FRAME")
            writer.write(b"more")
            assert await reader.readexactly(4) == b"MORE"
            writer.close()
            for host in (
                b"b1.localhost",
                b"3000.b1.example.org",
                b"99999.b1.localhost",
                b"3000.b1.localhost.evil.org",
            ):
                answer = await said(port, b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 404 "), host
            assert (await said(port, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 404 ")
            assert (await said(port, b"x" * 100_000)).startswith(b"HTTP/1.1 431 ")
    assert asked == [("b1", 3000)]


async def test_datagrams_go_there_and_answers_back_to_each_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "MOST_SENDERS", 3)
    guests = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for guest in guests:
        guest.bind((LOOPBACK, 0))
        guest.setblocking(False)
    led: list[int | None] = [0]
    made = bound(LOOPBACK, 0, UDP)
    place = made.getsockname()

    def find() -> Way:
        if led[0] is None:
            raise NoWay
        return Way(LOOPBACK, guests[led[0]].getsockname()[1])

    door_ = DatagramDoor(made, find)
    loop = asyncio.get_running_loop()
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(5)]
    for number, sender in enumerate(senders):
        sender.setblocking(False)
        sender.connect(place)
        sender.send(f"from {number}".encode())
        data, back = await loop.sock_recvfrom(guests[0], 1000)
        assert data == f"from {number}".encode()
        guests[0].sendto(data.upper(), back)
        assert await loop.sock_recv(sender, 1000) == data.upper()
    led[0] = 1
    senders[4].send(b"moved")
    assert await loop.sock_recv(guests[1], 1000) == b"moved"
    await door_.close()
    for one in (*senders, *guests):
        one.close()
