"""Doors for UDP: each sender's datagrams are carried to a guest by a socket of its own, and the answers back.

Those for a guest that has to be woken first are kept until it runs.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from core.network.doors import NoWay, Way, raised

MOST_SENDERS = 256  # a door; the one that was silent longest makes room for another
SILENT_S = 120.0  # after which a sender is forgotten
LARGEST = 65535
AT_A_TIME = 64  # datagrams, before others have their turn
MOST_KEPT = 64  # datagrams a door, for a guest that does not run yet


class NotYet(Exception):
    """There is a way once `until` has made it, which raises NoWay when it cannot."""

    def __init__(self, until: Callable[[], Awaitable[Way]]) -> None:
        super().__init__()
        self.until = until


class Sender:
    """One sender's socket to the guest."""

    def __init__(self, door: "DatagramDoor", sender: Any, way: Way) -> None:
        self.way = way
        self.heard = asyncio.get_running_loop().time()
        self._door, self._sender = door, sender
        self._socket = raised(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        try:
            self._socket.connect((way.address, way.port))
        except OSError:
            self._socket.close()
            raise
        asyncio.get_running_loop().add_reader(self._socket, self._answered)

    def send(self, data: bytes) -> None:
        """To the guest; what it does not take is lost, as anywhere."""
        self.heard = asyncio.get_running_loop().time()
        with contextlib.suppress(OSError):
            self._socket.send(data)

    def close(self) -> None:
        """Forget it."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _answered(self) -> None:
        with contextlib.suppress(OSError):  # read empty, or the guest says that nobody is there
            for _ in range(AT_A_TIME):
                self._door.answer(self._socket.recv(LARGEST), self._sender)


class DatagramDoor:
    """A bound socket, and the senders whose datagrams came in by it. `find` says where they are led; raises NoWay, or
    NotYet.
    """

    def __init__(self, bound: socket.socket, find: Callable[[], Way]) -> None:
        self._socket = raised(bound)
        self._find = find
        self._senders: dict[Any, Sender] = {}
        self._kept: list[tuple[bytes, Any]] = []
        self._waiting: asyncio.Task[None] | None = None
        asyncio.get_running_loop().add_reader(self._socket, self._arrived)

    async def close(self) -> None:
        """Take in nothing more."""
        asyncio.get_running_loop().remove_reader(self._socket)
        if self._waiting is not None:
            self._waiting.cancel()
            await asyncio.gather(self._waiting, return_exceptions=True)
        for sender in list(self._senders):
            self._forget(sender)
        self._socket.close()

    def answer(self, data: bytes, sender: Any) -> None:
        """Back to a sender."""
        with contextlib.suppress(OSError):
            self._socket.sendto(data, sender)

    def _arrived(self) -> None:
        with contextlib.suppress(OSError):
            for _ in range(AT_A_TIME):
                self._carry(*self._socket.recvfrom(LARGEST))

    def _carry(self, data: bytes, sender: Any) -> None:
        try:
            self._of(sender).send(data)
        except NotYet as later:
            self._keep(data, sender, later.until)
        except (NoWay, OSError):
            pass

    def _keep(self, data: bytes, sender: Any, until: Callable[[], Awaitable[Way]]) -> None:
        """Until there is a way; what is too much is lost, as anywhere."""
        if len(self._kept) < MOST_KEPT:
            self._kept.append((data, sender))
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._until(until))

    async def _until(self, until: Callable[[], Awaitable[Way]]) -> None:
        kept: list[tuple[bytes, Any]] = []
        try:
            await until()
            kept = self._kept
        except NoWay:  # what was sent is lost, as where nobody is
            pass
        finally:
            self._kept, self._waiting = [], None
        for data, sender in kept:
            self._carry(data, sender)

    def _of(self, sender: Any) -> Sender:
        """A sender's own socket; another one when the way has changed since."""
        way, known = self._find(), self._senders.pop(sender, None)
        if known is not None and (known.way.address, known.way.port) != (way.address, way.port):
            known.close()
            known = None
        self._make_room()
        self._senders[sender] = known or Sender(self, sender, way)
        return self._senders[sender]

    def _make_room(self) -> None:
        """The senders are in the order in which they were heard last."""
        since = asyncio.get_running_loop().time() - SILENT_S
        while self._senders:
            oldest = next(iter(self._senders))
            if len(self._senders) < MOST_SENDERS and self._senders[oldest].heard > since:
                return
            self._forget(oldest)

    def _forget(self, sender: Any) -> None:
        self._senders.pop(sender).close()
