"""Who may speak to the daemon: the user it runs as, told by the kernel (SO_PEERCRED), and nobody else."""

import os
from asyncio import Transport

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from core.sockets import peer_of

TRANSPORT = "transport"


class OwnUserProtocol(H11Protocol):
    """uvicorn's HTTP protocol, closed at once to any other user. A request's state names the connection it came by."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Check the peer before a byte is read."""
        if peer_of(transport.get_extra_info("socket")).uid not in (os.getuid(), 0):
            transport.abort()
            return
        self.app_state = self.app_state | {TRANSPORT: transport}
        super().connection_made(transport)


__all__ = ["Config", "OwnUserProtocol", "Server"]
