"""The port by which the API is reached beside the home's socket.

The holder keeps a copy of its socket, so that it stays open while daemons die and come: what is kept is the setting.
It ends with `daemon start --listen off`, when somebody stops the daemon, and with the holder.
"""

import asyncio
import socket
from dataclasses import dataclass

from fastapi import FastAPI

import core.daemon.requests as body
from core.daemon.peers import HttpServer
from core.engine.context import Engine
from core.engine.operations import note
from core.engine.tokens import tokens
from core.errors import Conflict
from core.holder.protocol import HostPorts
from core.inward import PortProtocol
from core.ports import check_listener, url_of

KEY = "api"  # what the holder calls the socket


@dataclass(frozen=True)
class Listens:
    """The URL of the daemon's port; empty while it has none."""

    url: str = ""


class Listening:
    """The port, while there is one."""

    def __init__(self, engine: Engine, server: HttpServer, host: HostPorts) -> None:
        self._engine, self._server, self._host = engine, server, host
        self._socket: socket.socket | None = None
        self._changing = asyncio.Lock()

    def found(self) -> list[socket.socket]:
        """What an earlier daemon left with the holder, for the server to begin with."""
        kept = self._engine.held.get(KEY)
        return [] if kept is None else [self._known(socket.socket(fileno=kept))]

    async def open(self, address: str, port: int, *, in_the_clear: bool = False) -> Listens:
        """Listen there. Conflict when it listens elsewhere, or while nobody could come in; UsageError when others could
        read along, and nobody said that they may.
        """
        address = check_listener(address, in_the_clear=in_the_clear)
        async with self._changing:
            if self._socket is not None:
                here, its_port = self._socket.getsockname()[:2]
                if here == address and port in (0, its_port):
                    return Listens(self._engine.admission.listening)
                raise Conflict(
                    f"the daemon listens at {self._engine.admission.listening} already: `--listen off` first"
                )
            if not tokens(self._engine):
                raise Conflict("nobody could come in, there is no token: `vertui token new NAME` makes one")
            made, _ = await asyncio.to_thread(self._host.listen, address, port, PortProtocol.TCP)
            try:
                await asyncio.to_thread(self._engine.held.keep, KEY, made.fileno())
            except BaseException:
                made.close()
                raise
            await self._server.listen(self._known(made))
        note(self._engine, "daemon", f"listens at {self._engine.admission.listening} for bearers of tokens")
        return Listens(self._engine.admission.listening)

    async def close(self) -> Listens:
        """Listen no more, and hang up on whoever came; nothing happens when there is no port."""
        async with self._changing:
            if self._socket is not None:
                await asyncio.to_thread(self._engine.held.drop, KEY)
                self._server.close(self._socket)
                self._engine.admission.turn_out()
                note(self._engine, "daemon", f"listens at {self._engine.admission.listening} no more")
                self._socket, self._engine.admission.listening = None, ""
        return Listens()

    def _known(self, made: socket.socket) -> socket.socket:
        self._socket, self._engine.admission.listening = made, url_of(*made.getsockname()[:2])
        return made


def add_listening(app: FastAPI, listening: Listening) -> None:
    """Add its routes to the application."""

    @app.post("/v1/listen")
    async def listen(asked: body.Listen) -> Listens:
        return await listening.open(asked.address, asked.port, in_the_clear=asked.in_the_clear)

    @app.post("/v1/listen/off")
    async def off(_: body.Nothing) -> Listens:
        return await listening.close()
