"""Published ports, open on the host as the catalog says: a door each, whose visitors are led to a branch.

The catalog has what is to be. `settle` makes it so after every change: undo, prune, a daemon's start. The holder keeps
a copy of each listening socket, so that who comes while there is no daemon waits for the next one.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus

from core.engine.context import Engine, new_id
from core.engine.live import Live
from core.engine.seams import Wish
from core.engine.wake import is_due, wake
from core.errors import VertuiError
from core.holder.protocol import HostPorts
from core.inward import PortProtocol, PublishedPort
from core.network.datagrams import DatagramDoor, NotYet
from core.network.doors import Door, NoWay, Way
from core.network.hosts import asked_for, page
from core.ports import PortRow
from core.refs import PROXY, TRUNK

PORT = "port:"  # before a port's id, what the holder calls its socket
AGAIN_S = 5.0  # between attempts to open what could not be
Opened = tuple[PortRow, socket.socket]
RefusedWish = tuple[Wish, VertuiError]
TRUNK_LABEL = TRUNK.lstrip("@")  # of a host name, unless a branch is called so


class Ports:
    """`OpenPorts` by doors."""

    def __init__(self, engine: Engine, host: HostPorts) -> None:
        self._engine, self._host = engine, host
        self._doors: dict[str, Door | DatagramDoor] = {}
        self._reasons: dict[str, str] = {}
        self._changing = asyncio.Lock()
        self._again: asyncio.Task[None] | None = None

    def shown(self) -> tuple[PublishedPort, ...]:
        """All that are published, oldest first."""
        names = {row.id: row.name for row in self._engine.catalog.branches()}
        return tuple(
            row.shown(names.get(row.branch, row.branch), self._reasons.get(row.id, ""))
            for row in wanted(self._engine)
        )

    async def add(self, wishes: Sequence[Wish], *, whole: bool = True) -> tuple[PortRow, ...]:
        """Open and write down."""
        if not wishes:
            return ()
        async with self._changing:
            opened, refused = await asyncio.to_thread(self._open_all, wishes, whole)
            try:
                self._engine.reach("publish.opened")
                with self._engine.catalog.transaction():
                    for row, _ in opened:
                        self._engine.catalog.put_port(row)
            except BaseException:
                await asyncio.to_thread(self._close_all, opened)
                raise
            for row, made in opened:
                self._admit(row, made)
        for wish, error in refused:
            self._tell(wish.branch, f"port {wish.guest_port} is not published: {error}")
        return tuple(row for row, _ in opened)

    async def settle(self) -> None:
        """Make it as the catalog says."""
        async with self._changing:
            rows = {row.id: row for row in wanted(self._engine)}
            for port in self._doors.keys() - rows.keys():
                await self._doors.pop(port).close()
                with contextlib.suppress(VertuiError):  # a holder that is gone has closed it
                    await asyncio.to_thread(self._engine.held.drop, f"{PORT}{port}")
            self._reasons = {port: why for port, why in self._reasons.items() if port in rows}
            for port in rows.keys() - self._doors.keys():
                await self._open(rows[port])
        if self._reasons and self._again is None:
            self._again = asyncio.create_task(self._try_again())

    async def stop(self) -> None:
        """The holder's copies go on listening."""
        if self._again is not None:
            self._again.cancel()
            await asyncio.gather(self._again, return_exceptions=True)
        for door in self._doors.values():
            await door.close()
        self._doors.clear()

    # -- sockets ---------------------------------------------------------------------------------------------

    async def _open(self, row: PortRow) -> None:
        try:
            made = await asyncio.to_thread(self._found, row)
        except VertuiError as error:
            if row.id not in self._reasons:
                self._tell(row.branch, f"port {row.guest_port} is published and not open: {error}")
            self._reasons[row.id] = str(error)
        else:
            self._admit(row, made)
            if self._reasons.pop(row.id, None):
                self._tell(row.branch, f"port {row.guest_port} is open again")

    async def _try_again(self) -> None:
        while self._reasons:
            await asyncio.sleep(AGAIN_S)
            await self.settle()
        self._again = None

    def _found(self, row: PortRow) -> socket.socket:
        """The socket that an earlier daemon left with the holder, or a new one."""
        kept = self._engine.held.get(f"{PORT}{row.id}")
        if kept is not None:
            return socket.socket(fileno=kept)
        made, _ = self._host.listen(row.address, row.host_port, row.protocol)
        self._keep(row, made)
        return made

    def _open_all(self, wishes: Sequence[Wish], whole: bool) -> tuple[list[Opened], list[RefusedWish]]:
        """In a thread. Those that are open now, and those that cannot be had; if `whole`, one of these is raised."""
        opened: list[Opened] = []
        refused: list[RefusedWish] = []
        for wish in wishes:
            try:
                opened.append(self._opened(wish))
            except VertuiError as error:
                if whole:
                    self._close_all(opened)
                    raise
                refused.append((wish, error))
        return opened, refused

    def _opened(self, wish: Wish) -> Opened:
        """The first of the host ports that can be had."""
        *others, last = wish.host_ports
        for port in others:
            try:
                return self._listening(wish, port)
            except VertuiError:
                continue
        return self._listening(wish, last)

    def _listening(self, wish: Wish, port: int) -> Opened:
        made, number = self._host.listen(wish.address, port, wish.protocol)
        row = PortRow(
            new_id(), wish.branch, wish.guest_port, wish.protocol, wish.address, number, time.time()
        )
        self._keep(row, made)
        return row, made

    def _keep(self, row: PortRow, made: socket.socket) -> None:
        try:
            self._engine.held.keep(f"{PORT}{row.id}", made.fileno())
        except BaseException:
            made.close()
            raise

    def _close_all(self, opened: Sequence[Opened]) -> None:
        for row, made in opened:
            made.close()
            self._engine.held.drop(f"{PORT}{row.id}")

    # -- ways ------------------------------------------------------------------------------------------------

    def _admit(self, row: PortRow, made: socket.socket) -> None:
        """Lead from now on who comes."""

        async def lead(visitor: socket.socket) -> Way:
            return await self._asked(visitor) if row.branch == PROXY else await self._awake_way(row)

        def find() -> Way:
            if is_due(self._engine, self._target(row)):
                raise NotYet(partial(self._awake_way, row))
            return self._way(row)

        self._doors[row.id] = (
            DatagramDoor(made, find) if row.protocol is PortProtocol.UDP else Door(made, lead)
        )

    def _target(self, row: PortRow) -> str:
        """The branch that a port leads to now, by its id; none if that is the trunk's and there is none."""
        return (self._engine.catalog.setting("trunk") or "") if row.branch == TRUNK else row.branch

    async def _awake_way(self, row: PortRow) -> Way:
        """To its branch's machine, which runs for that if it was suspended."""
        try:
            await wake(self._engine, self._target(row), f"a connection to port {row.guest_port}")
        except VertuiError as error:
            raise NoWay from error
        return self._way(row)

    def _way(self, row: PortRow) -> Way:
        """To its branch's machine as it is now; NoWay when there is none."""
        live = self._engine.machines.live.get(self._target(row))
        if live is None:
            raise NoWay
        return way_to(live, row.guest_port)

    async def _asked(self, visitor: socket.socket) -> Way:
        """To the branch that an HTTP request names."""
        head, name, port = await asked_for(visitor)
        branch = self._called(name)
        try:
            await wake(self._engine, branch, f"a request to port {port}")
        except VertuiError as error:
            said = f"{name} is suspended and does not start: {error}"
            raise NoWay(page(HTTPStatus.SERVICE_UNAVAILABLE, said)) from error
        live = self._engine.machines.live.get(branch)
        if live is None:
            names = " ".join(sorted(row.name for row in self._engine.catalog.branches()))
            raise NoWay(page(HTTPStatus.NOT_FOUND, f"no branch '{name}' runs; there are: {names or 'none'}"))
        sorry = page(
            HTTPStatus.BAD_GATEWAY, f"nobody answers at port {port} of {name}: `vertui ports {name}`"
        )
        return way_to(live, port, head, sorry)

    def _called(self, name: str) -> str:
        """The branch of a name, by its id; none if there is none."""
        row = self._engine.catalog.named(name)
        trunk = self._engine.catalog.setting("trunk") if name == TRUNK_LABEL else None
        return row.id if row else trunk or ""

    def _tell(self, branch: str, text: str) -> None:
        name = self._engine.catalog.name_of(branch) or branch
        self._engine.events.publish("branch", name, f"{name}: {text}")


def wanted(engine: Engine) -> list[PortRow]:
    """The ports that are to be open: not those of branches in the trash."""
    there = {TRUNK, PROXY, *(row.id for row in engine.catalog.branches())}
    return [row for row in engine.catalog.ports() if row.branch in there]


def way_to(live: Live, port: int, first: bytes = b"", sorry: bytes = b"") -> Way:
    """To a port of a machine's guest."""
    return Way(live.network.info.address, port, live.visits, first, sorry)
