"""The way into a branch's guest: connections to its ports, and what ssh needs to know of it."""

import socket
from contextlib import suppress
from dataclasses import dataclass

from fastapi import FastAPI, Request

import core.daemon.requests as body
from core.daemon.peers import PEER, PeerProtocol
from core.engine.context import Engine
from core.engine.dial import dial
from core.engine.ssh import admit
from core.errors import Unsupported
from core.inward import SshHost

# Any client skips an answer like this (RFC 9110, 15.2.1): a descriptor needs some bytes to come with.
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True)
class Dialled:
    """A connection was handed over, as a descriptor ahead of this answer; where it leads to."""

    branch: str
    port: int


def add_dialling(app: FastAPI, engine: Engine) -> None:
    """Add its routes to the application."""

    @app.post("/v1/dial")
    async def dial_(asked: body.Dial, request: Request) -> Dialled:
        with await dial(engine, asked.branch, asked.port) as connection:
            _hand_over(connection, getattr(request.state, PEER, None))
        return Dialled(asked.branch, asked.port)

    @app.post("/v1/ssh")
    async def ssh(asked: body.Admit) -> SshHost:
        return await admit(engine, asked.branch)


def _hand_over(connection: socket.socket, peer: PeerProtocol | None) -> None:
    """Send a descriptor to whoever asks, unless it has left. Nothing else is under way on its line."""
    if peer is None or not peer.by_socket:
        raise Unsupported("a connection is handed over by the home's own socket alone")
    with peer.transport.get_extra_info("socket").dup() as taken, suppress(ConnectionError):
        socket.send_fds(taken, [CONTINUE], [connection.fileno()])
