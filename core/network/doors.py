"""Doors: sockets that listen in the host's network, whose visitors are led to guests.

The porter opens the socket there; here, in the hub, visitors are accepted and guests connected to. Nothing is parsed:
bytes are carried both ways as fast as each side takes them, and an end of one side's sending is told to the other.
"""

import asyncio
import contextlib
import fcntl
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from core.network.nft import FD_SETSIZE
from core.patience import patient

MOST_VISITORS = 256  # a door, at a time; others wait in the kernel's backlog
PIECE_BYTES = 64 * 1024
CONNECT_S = patient(30.0)  # a guest that is paused, or just starting, may answer yet
FAREWELL_S = 1.0  # for a visitor to take what it is told before it is left
PAUSE_S = 0.1  # when no descriptor is left: there will be
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: close by a reset

Visits = set[asyncio.Task[None]]


@dataclass(frozen=True)
class Way:
    """Where a visitor is led: a port of a guest, to be sent `first` what was read already. `visits` are those of that
    guest's machine, `sorry` is told when nobody answers there.
    """

    address: str
    port: int
    visits: Visits = field(default_factory=set)
    first: bytes = b""
    sorry: bytes = b""


class NoWay(Exception):
    """A visitor is led nowhere, and told something maybe."""

    def __init__(self, said: bytes = b"") -> None:
        super().__init__()
        self.said = said


Lead = Callable[[socket.socket], Awaitable[Way]]
"""Says where a visitor is led. Raises NoWay, or OSError when it left."""


class Door:
    """A listening socket, and everybody who came in by it. To be made and used on an event loop."""

    def __init__(self, listening: socket.socket, lead: Lead) -> None:
        self._socket = raised(listening)
        self._lead = lead
        self._visits: Visits = set()
        self._loop = asyncio.get_running_loop()
        self._resting: asyncio.TimerHandle | None = None
        self._listen()

    async def close(self) -> None:
        """Let nobody in any more, and cut off who is; others' copies of the socket go on listening."""
        self._rest()
        visits = list(self._visits)
        for visit in visits:
            visit.cancel()
        await asyncio.gather(*visits, return_exceptions=True)
        self._rest()  # again: there was room when they left
        self._socket.close()

    def _listen(self) -> None:
        self._loop.add_reader(self._socket, self._arrived)

    def _rest(self) -> None:
        self._loop.remove_reader(self._socket)
        if self._resting is not None:
            self._resting.cancel()

    def _arrived(self) -> None:
        try:
            visitor = raised(self._socket.accept()[0])
        except BlockingIOError:  # it left while it waited
            return
        except OSError:
            self._rest()
            self._resting = self._loop.call_later(PAUSE_S, self._listen)
            return
        visit = self._loop.create_task(self._visit(visitor))
        self._visits.add(visit)
        visit.add_done_callback(partial(self._left, visitor))
        if len(self._visits) >= MOST_VISITORS:
            self._rest()

    def _left(self, visitor: socket.socket, visit: asyncio.Task[None]) -> None:
        visitor.close()
        self._visits.discard(visit)
        if len(self._visits) == MOST_VISITORS - 1:
            self._listen()

    async def _visit(self, visitor: socket.socket) -> None:
        """Lead a visitor to its guest until both have said all."""
        sorry = b""
        try:
            way = await self._lead(visitor)
            with _among(way.visits):
                sorry = way.sorry
                guest = await connected(way.address, way.port)
                sorry = b""
                with guest:
                    await joined(visitor, guest, way.first)
        except NoWay as refusal:
            await _take_leave(visitor, refusal.said)
        except (OSError, TimeoutError):
            await _take_leave(visitor, sorry)
        except asyncio.CancelledError:
            _end_at_once(visitor)


async def connected(address: str, port: int, within_s: float = CONNECT_S) -> socket.socket:
    """A connection to a guest; OSError, or TimeoutError when it says nothing."""
    guest = raised(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    try:
        async with asyncio.timeout(within_s):
            await asyncio.get_running_loop().sock_connect(guest, (address, port))
    except BaseException:
        guest.close()
        raise
    return guest


async def joined(visitor: socket.socket, guest: socket.socket, first: bytes = b"") -> None:
    """Carry bytes both ways until both sides have ended theirs. When one breaks off, so does the other: OSError."""
    for end in (visitor, guest):
        with contextlib.suppress(OSError):  # a Unix socket has no such option
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ways = [
        asyncio.create_task(_carry(visitor, guest, first)),
        asyncio.create_task(_carry(guest, visitor)),
    ]
    try:
        await asyncio.gather(*ways)
    except BaseException:
        _end_at_once(guest)
        raise
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _carry(source: socket.socket, target: socket.socket, first: bytes = b"") -> None:
    """All that comes, no faster than it is taken, and then that it has ended."""
    loop = asyncio.get_running_loop()
    data = first or await loop.sock_recv(source, PIECE_BYTES)
    while data:
        await loop.sock_sendall(target, data)
        data = await loop.sock_recv(source, PIECE_BYTES)
    with contextlib.suppress(OSError):  # it has hung up itself
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def _among(visits: Visits) -> Iterator[None]:
    """Be one of these for the body: they are cancelled when their machine ends."""
    visit = asyncio.current_task()
    assert visit is not None
    visits.add(visit)
    try:
        yield
    finally:
        visits.discard(visit)


async def _take_leave(visitor: socket.socket, said: bytes) -> None:
    """Say it and hang up, or with nothing to say break off."""
    if not said:
        _end_at_once(visitor)
        return
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(FAREWELL_S):
            await loop.sock_sendall(visitor, said)
            visitor.shutdown(socket.SHUT_WR)
            while await loop.sock_recv(
                visitor, PIECE_BYTES
            ):  # closed with bytes unread, it would lose what was said
                pass


def _end_at_once(connection: socket.socket) -> None:
    """Have its close be a reset: nobody takes what was broken off for whole."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)


def raised(made: socket.socket) -> socket.socket:
    """The same socket, not blocking, under a number that libnftables does not need, as long as there are any."""
    try:
        number = fcntl.fcntl(made, fcntl.F_DUPFD_CLOEXEC, FD_SETSIZE)
    except OSError:  # only few descriptors are allowed
        made.setblocking(False)
        return made
    found = socket.socket(made.family, made.type, made.proto, fileno=number)
    made.close()
    found.setblocking(False)
    return found
