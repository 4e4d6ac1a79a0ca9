"""Connections to the daemon, by the home's socket and by its port, and how uvicorn serves them."""

import asyncio
import os
import socket
from asyncio import Transport
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from core.patience import patient
from core.sockets import peer_of

PEER = "peer"  # in a request's state, the connection that it came by
HEAD_S = patient(20.0)  # for the whole head of a request: it is sent at once, or to keep a connection open
BACKLOG = 128
MOST_STRANGERS = 64  # connections by the port on which no token was shown yet


class PeerProtocol(H11Protocol):
    """A connection. By the socket it is closed at once to any other user, told by the kernel (SO_PEERCRED); by the port
    anybody comes, a stranger until he shows a token. Whoever is slow to say what he wants is hung up on.
    """

    _slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Look who it is before a byte is read."""
        line = transport.get_extra_info("socket")
        self.by_socket = line.family == socket.AF_UNIX
        self.stranger = not self.by_socket
        self.since = self.loop.time()
        self.transport = transport
        if self.by_socket and peer_of(line).uid not in (os.getuid(), 0):
            transport.abort()
            return
        self.app_state = self.app_state | {PEER: self}
        super().connection_made(transport)
        self._watch()
        peers = (peer for peer in self.connections if isinstance(peer, PeerProtocol))
        strangers = [peer for peer in peers if peer.stranger]
        if len(strangers) > MOST_STRANGERS:
            min(strangers, key=lambda peer: peer.since).hang_up()

    def hang_up(self) -> None:
        """Close the connection now, whatever goes on."""
        self.stranger = False  # it counts no more, though it is not gone before the loop comes round
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """What a client sent."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._watch(over=True)
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """The next request may come."""
        super().on_response_complete()
        self._watch()

    def _watch(self, *, over: bool = False) -> None:
        """Have a head that is waited for watched, and nothing else."""
        waits = self.conn.their_state is h11.IDLE and not over
        if waits and self._slow is None:
            self._slow = self.loop.call_later(HEAD_S, self.hang_up)
        elif not waits and self._slow is not None:
            self._slow.cancel()
            self._slow = None


class HttpServer(uvicorn.Server):
    """uvicorn's server, whose listening sockets come and go."""

    async def listen(self, made: socket.socket) -> None:
        """Serve those who come to this socket, too."""

        def peer() -> Any:
            return PeerProtocol(self.config, self.server_state, self.lifespan.state)

        self.servers.append(await asyncio.get_running_loop().create_server(peer, sock=made, backlog=BACKLOG))

    def close(self, made: socket.socket) -> None:
        """Close a socket: nobody comes by it any more. Whoever came stays."""
        for server in list(self.servers):
            if any(one.fileno() == made.fileno() for one in server.sockets):
                self.servers.remove(server)
                server.close()
        made.close()
