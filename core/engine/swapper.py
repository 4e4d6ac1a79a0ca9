"""The daemon's side of the swapper (`core.swap`): who comes is passed to it, and it is given ways and certificates.

It runs while somebody is there, and a little longer. A daemon that ends leaves its swapper to finish what is being
said; the next one starts its own.
"""

import asyncio
import ipaddress
import logging
import os
import socket
from collections import Counter
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, NamedTuple

from core.engine import authority, secrets
from core.engine.context import Engine, new_id
from core.engine.host_names import HostNames
from core.engine.live import Live
from core.engine.names import Names, names_at
from core.errors import VertuiError
from core.network.addresses import HUB_ADDRESS, SWAPPER_PORT
from core.network.doors import raised
from core.network.resolver import Resolver
from core.network.ties import admits, is_address
from core.patience import patient
from core.python import program
from core.reach import ReachMode
from core.sites import Site, covers
from core.swap import wire
from core.swap.wire import Channel, Message

KEY = "swapper:"  # before an id, what the holder calls one
MOST_OF_ONE, MOST = 64, 1024  # connections of a branch, of all, at a time
BACKLOG = 128
CONNECT_S = patient(15.0)
IDLE_S = patient(60.0)  # without a visitor, until it may go
PAUSE_S = 0.1  # when no descriptor is left: there will be
INSIDE = tuple(map(ipaddress.IPv4Network, ("0.0.0.0/8", "10.0.2.0/24", "10.77.0.0/16", "127.0.0.0/8")))
"""What a branch's own namespace would take for itself, its guest, or us. No rule of egress is asked about that."""

logger = logging.getLogger(__name__)


class NoWayThere(Exception):
    """A connection that is not to be had: an HTTP status, and why."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Visitor(NamedTuple):
    """A branch's guest that came from a port of its own."""

    live: Live
    port: int


class Swappers:
    """`SecretSwapper` by one process at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._resolver = Resolver(lambda address: names_at(engine, address), host=HostNames(engine))
        self._channel: Channel | None = None
        self._visitors: dict[int, _Visitor] = {}
        self._count = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: asyncio.TimerHandle | None = None

    async def serve(self, place: tuple[str, int] = (HUB_ADDRESS, SWAPPER_PORT)) -> None:
        """For ever: be there for guests, at a place of the hub."""
        loop = asyncio.get_running_loop()
        with raised(socket.create_server(place, backlog=BACKLOG)) as listening:
            try:
                while True:
                    try:
                        visitor, (address, port) = await loop.sock_accept(listening)
                    except OSError:  # no descriptor is left, or it left while it waited
                        await asyncio.sleep(PAUSE_S)
                        continue
                    with raised(visitor) as visitor:
                        self._admit(visitor, address, port)
            finally:
                self._leave()
                for task in list(self._tasks):
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    def settle(self) -> None:
        """Secrets have changed."""
        if self._channel is not None:
            self._tell(self._channel)

    # -- visitors --------------------------------------------------------------------------------------------

    def _admit(self, visitor: socket.socket, address: str, port: int) -> None:
        """Pass on who comes from a branch; others are none of ours, and hung up on."""
        names = names_at(self._engine, address)
        if names is None or len(self._visitors) >= MOST:
            return
        if Counter(one.live for one in self._visitors.values())[names.live] >= MOST_OF_ONE:
            return
        try:
            channel = self._running()
        except VertuiError as error:
            logger.warning("no secrets are swapped in: %s", error)
            return
        self._count += 1
        self._visitors[self._count] = _Visitor(names.live, port)
        channel.send(wire.VisitorCame(self._count), visitor.fileno())

    def _running(self) -> Channel:
        """The channel to the process, which is started if there is none."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._channel is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            key, log = f"{KEY}{new_id()}", self._engine.home.log / "swapper.log"
            try:
                with theirs:
                    self._engine.held.spawn(key, program("core.swap.server"), log, [theirs.fileno()])
            except BaseException:
                ours.close()
                raise
            self._channel = Channel(ours, self._heard, self._lost)
            self._tell(self._channel)
        return self._channel

    def _tell(self, channel: Channel) -> None:
        try:
            file = wire.sealed(secrets.swaps(self._engine))
        except VertuiError as error:
            logger.warning("no secrets are swapped in: %s", error)
            file = wire.sealed(())
        channel.send(wire.Swaps(), file)
        os.close(file)

    def _lost(self) -> None:
        """It has ended by itself: the next visitor gets another."""
        logger.warning("the swapper ended, with %d visitors", len(self._visitors))
        self._channel = None
        self._visitors.clear()

    def _leave(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self._visitors.clear()

    # -- what it asks for ------------------------------------------------------------------------------------

    def _heard(self, message: Message, descriptor: int | None) -> None:
        if descriptor is not None:
            os.close(descriptor)
        channel = self._channel
        assert channel is not None  # or else nothing is heard
        match message:
            case wire.WayWanted(id, visitor, host, port) if visitor in self._visitors:
                self._begin(self._give_way(channel, id, self._visitors[visitor], host, port))
            case wire.CertificateWanted(id, host):
                self._begin(self._give_certificate(channel, id, host))
            case wire.SecretUsed(visitor, secret, host) if visitor in self._visitors:
                branch = self._engine.catalog.name_of(self._visitors[visitor].live.branch)
                logger.info("%s was sent to %s for %s", secret[:64], host[:256], branch)
            case wire.VisitorLeft(visitor):
                self._visitors.pop(visitor, None)
                if not self._visitors and self._idle is None:
                    self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._leave)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _give_way(self, channel: Channel, id: int, who: _Visitor, host: str, port: int) -> None:
        try:
            with await self._connected(who, host, port) as way:
                channel.send(wire.WayMade(id), way.fileno())
        except NoWayThere as refusal:
            channel.send(wire.Denied(id, refusal.status, str(refusal)))
        except VertuiError as error:
            channel.send(wire.Denied(id, HTTPStatus.BAD_GATEWAY, str(error)))

    async def _give_certificate(self, channel: Channel, id: int, host: str) -> None:
        try:
            every = [site for swap in secrets.swaps(self._engine) for site in swap.sites]
            if not any(covers(site, Site(host, site.port)) for site in every):
                raise NoWayThere(HTTPStatus.FORBIDDEN, f"no secret is for {host[:256]}")
            pem = await asyncio.to_thread(authority.signed, self._engine.home, host)
            channel.send(wire.CertificateMade(id, pem))
        except NoWayThere as refusal:
            channel.send(wire.Denied(id, refusal.status, str(refusal)))
        except VertuiError as error:
            channel.send(wire.Denied(id, HTTPStatus.BAD_GATEWAY, str(error)))

    async def _connected(self, who: _Visitor, host: str, port: int) -> socket.socket:
        """A connection as the branch's guest would have it."""
        addresses = (host,) if is_address(host) else await self._found(who, host, port)
        error: OSError | None = None
        for address in addresses:
            if any(ipaddress.IPv4Address(address) in network for network in INSIDE):
                continue
            try:
                return await self._at(who.live, address, port)
            except OSError as failure:
                error = failure
        if error is None:
            raise NoWayThere(HTTPStatus.FORBIDDEN, f"{host}:{port} is nowhere outside")
        if not self._may(who.live, addresses, port):
            raise self._forbidden(who.live, host, port)
        why = error.strerror or f"no answer within {CONNECT_S:g} s"
        raise NoWayThere(HTTPStatus.BAD_GATEWAY, f"{host}:{port} cannot be reached: {why}")

    async def _found(self, who: _Visitor, host: str, port: int) -> tuple[str, ...]:
        names = Names(self._engine, who.live)
        if not await names.may_ask(host, who.port, "tcp", wanted=port):
            raise self._forbidden(who.live, host, port)
        try:
            addresses = await self._resolver.look_up(names, host)
        except (TimeoutError, OSError) as error:
            raise NoWayThere(HTTPStatus.BAD_GATEWAY, f"{host} cannot be looked up") from error
        if not addresses:
            raise NoWayThere(HTTPStatus.BAD_GATEWAY, f"there is no {host}")
        return addresses

    async def _at(self, live: Live, address: str, port: int) -> socket.socket:
        way = raised(await asyncio.to_thread(live.network.outward_socket))
        try:
            async with asyncio.timeout(CONNECT_S):
                await asyncio.get_running_loop().sock_connect(way, (address, port))
        except BaseException:
            way.close()
            raise
        return way

    def _may(self, live: Live, addresses: tuple[str, ...], port: int) -> bool:
        reach = live.network.reach
        if reach is None or reach.mode is ReachMode.OFF:
            return False
        admitted = admits(reach, live.network.ties.let_through(reach))
        return any(admitted(address, port, "tcp") for address in addresses)

    def _forbidden(self, live: Live, host: str, port: int) -> NoWayThere:
        name = self._engine.catalog.name_of(live.branch)
        return NoWayThere(
            HTTPStatus.FORBIDDEN,
            f"{name} may not reach {host}:{port}: `vertui egress {name} allow ...` lets it",
        )
