"""The verb with all but machines real: hub, porter, `pasta`, resolver. Guests are processes behind branches' taps."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from core import linux
from core.engine.context import Engine
from core.engine.names import answer_names
from core.engine.outside import Pasta
from core.holder import porter
from core.model import Outward
from core.network import HubNetwork, dns, way_out
from core.reach import Attempt
from tests.network.guest import Guest, can_connect
from tests.network.isolation import isolated
from tests.network.test_egress import asked
from tests.network.test_way_out import becomes
from tests.outside import OTHER, SERVER, Servers, furnish
from tests.twins.engine import Twins, twin_engine


@asynccontextmanager
async def begun(twins: Twins, jobs: socket.socket) -> AsyncIterator[None]:
    """An engine of twins, but for the network: as the daemon begins it."""
    engine, hub = twins.engine, HubNetwork()
    hub.prepare()
    twins.held.keep(porter.KEY, jobs.fileno())
    outside = engine.tasks.outside = Pasta(engine)
    engine.network = hub
    twins.begin()
    background = [asyncio.create_task(outside.watch()), asyncio.create_task(answer_names(engine))]
    try:
        yield
        await twins.close()
        await becomes(False)
        assert hub.list() == () and hub.traffic() == {}
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)


class Behind:
    """Guests behind the taps of branches."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._guests: dict[str, Guest] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "Behind":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def of(self, name: str) -> Guest:
        """A branch's."""
        if name not in self._guests:
            live = self._engine.machines.live[self._engine.branch(name).id]
            self._guests[name] = self._stack.enter_context(Guest(live.network))
        return self._guests[name]

    async def reaches(self, name: str, address: str, port: int) -> bool:
        """While the engine goes on."""
        guest = self.of(name)
        return await asyncio.to_thread(guest.inside, lambda: can_connect(address, port, 5.0))

    async def asks(self, name: str, host: str) -> tuple[int, tuple[str, ...]]:
        """Our resolver."""
        return await asyncio.to_thread(asked, self.of(name), host)


async def play(twins: Twins, servers: Servers) -> None:
    await twins.do("up")
    with Behind(twins.engine) as guests:
        assert await guests.asks("main", "server.test") == (dns.Code.REFUSED, ())
        assert not await guests.reaches("main", SERVER, 80) and not way_out.is_there()
        told: Outward = await twins.do("egress", "main", "show")
        assert {(one.host, one.port) for one in told.refused} == {("server.test", 0), (SERVER, 80)}

        await twins.do("egress", "main", "allow", ("server.test:80", "*.below.test"))
        assert await guests.asks("main", "server.test") == (dns.Code.OK, (SERVER,))
        assert await guests.reaches("main", SERVER, 80) and not await guests.reaches("main", SERVER, 443)
        kept = await asyncio.to_thread(
            guests.of("main").inside, lambda: socket.create_connection((SERVER, 80), 5)
        )
        await twins.do("fork", "main", 2)
        assert await guests.asks("b1", "a.below.test") == (dns.Code.OK, (OTHER,))
        assert await guests.reaches("b1", OTHER, 443) and not await guests.reaches("b1", SERVER, 80)
        assert await guests.asks("b1", "server.test") == (dns.Code.OK, (SERVER,))
        assert await guests.reaches("b1", SERVER, 80)
        assert await guests.asks("b2", "other.test") == (dns.Code.REFUSED, ())

        told = await twins.do("egress", "main", "allow", ("server.test",))
        assert await guests.reaches("main", SERVER, 443) and await _echo(kept)
        assert told.traffic.packets > 5 and _named(told.refused, "server.test", 443)
        await twins.do("undo")
        assert not await guests.reaches("main", SERVER, 443) and await _echo(kept)
        await twins.do("egress", "main", "off")
        kept.settimeout(5)
        assert await asyncio.to_thread(_is_reset, kept)
        kept.close()
        assert await guests.reaches("b1", SERVER, 80) and way_out.is_there()
        await twins.do("prune", ("b1", "b2"))
        await becomes(False)
        await twins.do("egress", "main", "allow", ("only.here:80", "a"))
        assert await guests.asks("main", "only.here") == (dns.Code.OK, (OTHER,))  # by the host's own file
        assert await guests.reaches("main", OTHER, 80) and not await guests.reaches("main", OTHER, 443)
        assert await guests.asks("main", "a") == (dns.Code.OK, (OTHER,))  # by the host's search domain
        await twins.do("egress", "main", "open")
        assert not await guests.reaches("main", SERVER, 80)  # this host's own, which no rule names
        assert "other.test" not in servers.asked and len(servers.accepted) >= 6


async def _echo(connection: socket.socket) -> bool:
    connection.sendall(b"x")
    return await asyncio.to_thread(connection.recv, 1) == b"x"


def _is_reset(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b"never"
    except ConnectionResetError:
        return True


def _named(refused: tuple[Attempt, ...], host: str, port: int) -> bool:
    return any((one.host, one.port) == (host, port) for one in refused)


@isolated
def test_branches_reach_what_they_may_and_leave_nothing() -> None:
    servers = Servers(furnish())
    pid, jobs = porter.start()
    linux.unshare(linux.CLONE_NEWNET)
    servers.serve()

    async def run(twins: Twins) -> None:
        async with begun(twins, jobs):
            await play(twins, servers)

    with twin_engine() as twins:
        asyncio.run(run(twins))
    os.kill(pid, signal.SIGKILL)
    jobs.close()
