"""Connections by Unix socket: HTTP to the daemon, messages to the holder. Imports little: every verb pays for it."""

import http.client
import socket
from pathlib import Path

from core.home import Home


class UnixConnection(http.client.HTTPConnection):
    """HTTP over an AF_UNIX socket."""

    def __init__(self, path: Path, timeout_s: float | None = None) -> None:
        super().__init__("vertui", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket's path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def connect_holder(home: Home) -> socket.socket:
    """A connection to the holder; OSError when there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(str(home.holder_socket))
    except OSError:
        connection.close()
        raise
    return connection
