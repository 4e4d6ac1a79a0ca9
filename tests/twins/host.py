"""`HostPorts` in memory: ports are abstract Unix sockets, which nobody outside these tests looks for.

The kernel frees such a name, as it does a port, when the last copy of its socket is closed.
"""

import contextlib
import errno
import socket
import uuid
from itertools import count

from core.errors import VertuiError
from core.holder.listening import BACKLOG, KINDS, refused
from core.inward import PortProtocol

ADDRESSES = ("127.0.0.1", "127.0.0.2", "::1", "0.0.0.0", "::")
FIRST_FREE = 40_000


class TwinHost:
    """A host whose ports are names."""

    def __init__(self) -> None:
        self._name = uuid.uuid4().hex

    def listen(self, address: str, port: int, protocol: PortProtocol) -> tuple[socket.socket, int]:
        """The port, or the first free one from FIRST_FREE on."""
        if address not in ADDRESSES:
            raise refused(errno.EADDRNOTAVAIL, address, port)
        for number in [port] if port else count(FIRST_FREE):
            with contextlib.suppress(OSError):
                return _bound(self._place(address, number, protocol), protocol), number
        raise refused(errno.EADDRINUSE, address, port)

    def connect(self, address: str, port: int, protocol: PortProtocol) -> socket.socket:
        """A connection to it; OSError when nobody listens."""
        made = socket.socket(socket.AF_UNIX, KINDS[protocol])
        try:
            made.connect(self._place(address, port, protocol))
        except OSError:
            made.close()
            raise
        return made

    def _place(self, address: str, port: int, protocol: PortProtocol) -> str:
        return f"\0vertui-twin-{self._name}-{protocol}-{address}-{port}"


def _bound(place: str, protocol: PortProtocol) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, KINDS[protocol])
    try:
        made.bind(place)
        if protocol is PortProtocol.TCP:
            made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made


def listening(host: TwinHost, address: str, port: int, protocol: PortProtocol) -> bool:
    """Does anybody?"""
    with contextlib.suppress(OSError, VertuiError):
        host.connect(address, port, protocol).close()
        return True
    return False
