"""Who may speak to the daemon: the user it runs as, told by the kernel (SO_PEERCRED), and nobody else."""

import os
from asyncio import Transport

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from core.sockets import peer_of


class OwnUserProtocol(H11Protocol):
    """uvicorn's HTTP protocol, closed at once to any other user."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Check the peer before a byte is read."""
        if peer_of(transport.get_extra_info("socket")).uid not in (os.getuid(), 0):
            transport.abort()
            return
        super().connection_made(transport)


__all__ = ["Config", "OwnUserProtocol", "Server"]
