"""Who may speak to the daemon: the user it runs as, told by the kernel (SO_PEERCRED), and nobody else."""

import os
import socket
import struct
from asyncio import Transport

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


class OwnUserProtocol(H11Protocol):
    """uvicorn's HTTP protocol, closed at once to any other user."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Check the peer before a byte is read."""
        peer = transport.get_extra_info("socket")
        _, uid, _ = CREDENTIALS.unpack(
            peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
        )
        if uid not in (os.getuid(), 0):
            transport.abort()
            return
        super().connection_made(transport)


__all__ = ["Config", "OwnUserProtocol", "Server"]
