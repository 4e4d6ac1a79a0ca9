"""An engine on twins behind the real API, on its home's socket."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.daemon.api import make_app
from core.daemon.client import Client
from core.daemon.peers import Config, OwnUserProtocol, Server
from core.sockets import Listener
from tests.twins.engine import Twins


@asynccontextmanager
async def served(twins: Twins) -> AsyncIterator[Client]:
    """The engine behind its API, and a client of that."""
    home = twins.engine.home
    config = Config(
        make_app(twins.engine), http=OwnUserProtocol, log_level="warning", lifespan="off", timeout_graceful_shutdown=1
    )  # fmt: skip
    server, listener = Server(config), Listener(home.daemon_socket, socket.SOCK_STREAM, 8)
    serving = asyncio.create_task(server.serve([listener.socket]))
    try:
        yield Client(home, starts=False)
    finally:
        server.should_exit = True
        await serving
