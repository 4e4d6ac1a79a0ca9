"""`core.sockets` on an event loop."""

import asyncio
import socket
from pathlib import Path

from core.sockets import check_peer


async def connect(path: Path) -> socket.socket:
    """A connection to a process of ours, not blocking; OSError when none listens, Impostor when it is not ours.

    By connect(2) itself, which never leaves a Unix socket in progress. EAGAIN says that too many wait for the listener
    already: asyncio's sock_connect would take it for a connection, whose peer is nobody.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.connect(str(path))
        check_peer(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


async def open_line(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The same as a pair of streams."""
    return await asyncio.open_unix_connection(sock=await connect(path))
