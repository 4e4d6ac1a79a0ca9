"""An engine on twins behind the real API, on its home's socket, and at a port when that is asked for."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.daemon.api import make_app
from core.daemon.client import Client
from core.daemon.door import behind_door
from core.daemon.endpoint import Remote
from core.daemon.listening import Listening, add_listening
from core.daemon.sockets import add_streams
from core.holder.listening import bound
from core.inward import PortProtocol
from core.sockets import Listener
from core.tokens import digest, new_token
from tests.twins.engine import Twins

LOOPBACK = "127.0.0.1"


class OwnPorts:
    """`HostPorts` of this process's own network, as the porter has them."""

    def listen(self, address: str, port: int, protocol: PortProtocol) -> tuple[socket.socket, int]:
        """A real socket."""
        made = bound(address, port, protocol)
        return made, made.getsockname()[1]


@asynccontextmanager
async def served(twins: Twins) -> AsyncIterator[Client]:
    """The engine behind its API, and a client of that."""
    engine, app = twins.engine, make_app(twins.engine)
    add_streams(app, engine)
    server, listener = (
        behind_door(app, engine.admission),
        Listener(engine.home.daemon_socket, socket.SOCK_STREAM, 8),
    )
    listening = Listening(engine, server, OwnPorts())
    add_listening(app, listening)
    serving = asyncio.create_task(server.serve([listener.socket, *listening.found()]))
    try:
        yield Client(engine.home, starts=False)
    finally:
        server.should_exit = True
        await serving


def open_port(client: Client, *names: str) -> list[Remote]:
    """Tokens of these names, and the port, as each of their bearers reaches it."""
    tokens = {name: new_token() for name in names}
    for name, token in tokens.items():
        client.token_new(name, digest(token))
    port = int(client.listen(LOOPBACK, 0).rpartition(":")[2])
    return [Remote(LOOPBACK, port, token) for token in tokens.values()]
