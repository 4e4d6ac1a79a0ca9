"""The resolver of a hub's guests: it looks up what a branch's rule names, refuses the rest, and has answers tied.

    guest 10.0.2.3:53 ── NAT of its namespace ── hub 10.77.255.254:53 (here) ── way out ── the host's own resolver

Answers come by UDP and TCP. A name is answered only once its addresses are tied, so that they can be reached at once.
IPv6 has no way out: AAAA records are none. Names of branches, as b1.vertui, and their addresses are answered here, to
those that are linked with them, and asked nobody else.
"""

import asyncio
import contextlib
import errno
import logging
import os
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from core.errors import VertuiError
from core.inward import HOST_SUFFIX, host_of
from core.network import dns
from core.network.addresses import BRANCHES_REVERSED, EGRESS_RESOLVER, HUB_ADDRESS, RESOLVER_PORT
from core.network.dns import Code
from core.patience import patient

TRY_S, TRIES = patient(2.0), 2  # a guest's own resolver gives up after five seconds
MOST_AT_ONCE = 64  # questions of one client; those that come beside them are dropped, and asked again
MOST_CONNECTIONS = 16  # of one client
BACKLOG = 128
IDLE_S = patient(10.0)
BRANCH_TTL_S = 1  # for which a branch's name holds: it may be unlinked or renamed
HOST_TTL_S = 60  # of what the host knows by itself, which says no time

logger = logging.getLogger(__name__)

Place = tuple[str, int]


class Asker(Protocol):
    """A branch that asks."""

    def address_of(self, branch: str) -> str | None:
        """Where it reaches the branch of that name; None for one that it is not linked with."""

    async def wake(self, branch: str) -> None:
        """Have the branch of that name run, if it is suspended and linked with this one."""

    def branch_at(self, address: str) -> str | None:
        """The name of the branch that it reaches there; None for one that it is not linked with."""

    async def may_ask(self, name: str, port: int, protocol: str) -> bool:
        """Is the name one that its rule lets it look up? If not, that is noted, and whose that port is."""

    async def tie(self, name: str, addresses: tuple[str, ...], ttl_s: int) -> None:
        """Let it reach what its rule says of the name at these addresses."""


class OwnNames(Protocol):
    """What the host calls its own: names that no server need know."""

    def written(self, name: str) -> tuple[str, ...]:
        """The addresses that the host has written down for a name; they count before what a server says."""

    async def known(self, name: str) -> tuple[str, ...]:
        """Those it finds, by whatever means, of a name that no server knows."""


class NoNames:
    """A host that has no names of its own."""

    def written(self, name: str) -> tuple[str, ...]:
        """None."""
        return ()

    async def known(self, name: str) -> tuple[str, ...]:
        """None."""
        return ()


class Resolver:
    """Answers at a place. `asker` knows who asks by an address; None is nobody's."""

    def __init__(
        self,
        asker: Callable[[str], Asker | None],
        upstream: Place = (EGRESS_RESOLVER, RESOLVER_PORT),
        host: OwnNames | None = None,
    ) -> None:
        self._asker = asker
        self._host = host or NoNames()
        self._upstream = upstream
        self._asked: set[asyncio.Task[None]] = set()
        self._at_once = Counter[str]()
        self._connections = Counter[str]()
        self._transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None

    async def start(self, place: Place = (HUB_ADDRESS, RESOLVER_PORT)) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self._asked_by_udp), place
        )
        self._server = await asyncio.start_server(self._serve_tcp, *place, backlog=BACKLOG)

    async def close(self) -> None:
        """Listen no more."""
        if self._transport:
            self._transport.close()
        if self._server:
            self._server.close()
        for task in list(self._asked):
            task.cancel()
        await asyncio.gather(*self._asked, return_exceptions=True)

    async def answer(self, source: Place, data: bytes, *, tcp: bool) -> bytes | None:
        """What a client at `source` is answered; None for what is no question."""
        try:
            asked = dns.question(data)
        except dns.Malformed:
            return None
        asker = self._asker(source[0])
        protocol = "tcp" if tcp else "udp"
        if asker is None or asked.klass != dns.IN:
            return dns.told(asked, Code.REFUSED)
        if (of_branches := await _of_branches(asker, asked)) is not None:
            return of_branches
        if not await asker.may_ask(asked.name, source[1], protocol):
            return dns.told(asked, Code.REFUSED)
        if asked.kind == dns.AAAA:
            return dns.told(asked, Code.OK)
        try:
            found, told = await self._found(asked, large=tcp or asked.takes > dns.SMALLEST)
            if told.addresses:
                await asker.tie(asked.name, told.addresses, told.ttl_s)
        except (TimeoutError, OSError, dns.Malformed, VertuiError) as error:
            logger.info("%s is not looked up for %s: %s", asked.name, source[0], error)
            return dns.told(asked, Code.FAILED)
        return dns.passed_on(found, asked, largest=len(found) if tcp else asked.takes)

    async def look_up(self, asker: Asker, name: str) -> tuple[str, ...]:
        """The addresses of a name that `asker` may ask for, tied. OSError, TimeoutError, VertuiError."""
        try:
            _, told = await self._found(dns.addresses_of(name), large=True)
        except dns.Malformed as error:
            raise OSError(
                errno.EBADMSG, f"the answer of the host's resolver makes no sense: {error}"
            ) from error
        if told.addresses:
            await asker.tie(name, told.addresses, told.ttl_s)
        return told.addresses

    async def _found(self, asked: dns.Query, *, large: bool) -> tuple[bytes, dns.Resolved]:
        """An answer, and the addresses in it: as the host itself would find them."""
        if asked.kind == dns.A and (own := self._host.written(asked.name)):
            return _of_host(asked, own)
        try:
            found = await self._ask(asked, large=large)
            told = dns.addresses(found, asked)
        except (TimeoutError, OSError, dns.Malformed):
            if asked.kind == dns.A and (own := await self._host.known(asked.name)):
                return _of_host(asked, own)
            raise
        if asked.kind == dns.A and not told.addresses and (own := await self._host.known(asked.name)):
            return _of_host(asked, own)
        return found, told

    async def _ask(self, asked: dns.Query, *, large: bool) -> bytes:
        """The host's resolver's answer; TimeoutError when there is none."""
        for _ in range(TRIES - 1):
            with contextlib.suppress(TimeoutError):
                return await self._ask_once(asked, large=large)
        return await self._ask_once(asked, large=large)

    async def _ask_once(self, asked: dns.Query, *, large: bool) -> bytes:
        """Each question has a port and an id of its own, which nobody can guess."""
        loop, id = asyncio.get_running_loop(), int.from_bytes(os.urandom(2), "big")
        answered: asyncio.Future[bytes] = loop.create_future()

        def heard(data: bytes, _: Place) -> None:
            if not answered.done() and dns.answers(data, id, asked):
                answered.set_result(data)

        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(heard, answered), remote_addr=self._upstream
        )
        try:
            transport.sendto(dns.ask(asked, id, large=large))
            async with asyncio.timeout(TRY_S):
                return await answered
        finally:
            transport.close()

    def _asked_by_udp(self, data: bytes, source: Place) -> None:
        if self._at_once[source[0]] < MOST_AT_ONCE:
            self._at_once[source[0]] += 1
            task = asyncio.create_task(self._answer_by_udp(data, source))
            self._asked.add(task)
            task.add_done_callback(self._asked.discard)

    async def _answer_by_udp(self, data: bytes, source: Place) -> None:
        try:
            answer = await self.answer(source, data, tcp=False)
        finally:
            self._at_once -= Counter([source[0]])
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, source)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        source: Place = (peer[0], peer[1]) if peer else ("", 0)  # it has left already
        self._connections[source[0]] += 1
        try:
            if self._connections[source[0]] <= MOST_CONNECTIONS:
                with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                    await self._converse(source, reader, writer)
        finally:
            self._connections -= Counter([source[0]])
            writer.close()

    async def _converse(
        self, source: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Questions one after the other, each behind its length, until one is none."""
        while True:
            async with asyncio.timeout(IDLE_S):
                length = int.from_bytes(await reader.readexactly(2), "big")
                data = await reader.readexactly(length)
            answer = await self.answer(source, data, tcp=True)
            if answer is None:
                return
            writer.write(len(answer).to_bytes(2, "big") + answer)
            async with asyncio.timeout(IDLE_S):
                await writer.drain()


async def _of_branches(asker: Asker, asked: dns.Query) -> bytes | None:
    """What is answered to who asks for a branch's name, once that branch is awake, or for an address; None when it is
    none of these. To look at an address wakes nobody.
    """
    if asked.name.endswith(HOST_SUFFIX):
        name = asked.name.removesuffix(HOST_SUFFIX)
        await asker.wake(name)
        address = asker.address_of(name)
        if address and asked.kind == dns.A:
            return dns.told_address(asked, address, BRANCH_TTL_S)
        return dns.told(asked, Code.OK if address else Code.UNKNOWN_NAME)
    if asked.name.endswith(BRANCHES_REVERSED):
        branch = asker.branch_at(".".join(reversed(asked.name.split(".")[:4])))
        if branch and asked.kind == dns.PTR:
            return dns.told_name(asked, host_of(branch), BRANCH_TTL_S)
        return dns.told(asked, Code.OK if branch else Code.UNKNOWN_NAME)
    return None


def _of_host(asked: dns.Query, addresses: tuple[str, ...]) -> tuple[bytes, dns.Resolved]:
    return dns.made(asked, addresses, HOST_TTL_S), dns.Resolved(addresses, HOST_TTL_S)


class _Datagrams(asyncio.DatagramProtocol):
    """Calls `heard` for each; `answered` is told of an error."""

    def __init__(
        self, heard: Callable[[bytes, Place], object], answered: asyncio.Future[bytes] | None = None
    ) -> None:
        self._heard = heard
        self._answered = answered

    def datagram_received(self, data: bytes, addr: Place) -> None:
        """One came."""
        self._heard(data, addr)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there."""
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc)
