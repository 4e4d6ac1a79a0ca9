"""TCP connections from the hub to what listens in a branch's guest, for whoever is to be their other end."""

import socket
import time

from core.engine.context import Engine
from core.engine.wake import wake_named
from core.errors import Conflict, GuestFailed
from core.network.doors import connected
from core.patience import patient

REACH_S = patient(10.0)  # for a guest to answer: its kernel does, whatever its programs do
QUIET_S = 60  # without a byte, until the other side is asked whether it is there
UNANSWERED = 120  # times: a branch that is paused for two hours still has its connections


async def dial(engine: Engine, branch: str, port: int, within_s: float = REACH_S) -> socket.socket:
    """A connection to a port of a branch that runs, or wakes for it. Conflict says why there is none, GuestFailed that
    none comes.

    It is the kernel's alone: it goes on when the daemon ends, waits while the branch is paused, and is reset when the
    branch's network goes.
    """
    await wake_named(engine, branch, f"a connection to port {port}")
    name, live = engine.branch(branch).name, engine.awake(branch)
    live.used = time.monotonic()
    try:
        connection = await connected(live.network.info.address, port, within_s)
        try:
            _settle(connection)
        except BaseException:
            connection.close()
            raise
        engine.acting.acts(live.branch)  # what goes on by it is not seen
    except ConnectionRefusedError as error:
        raise Conflict(f"nothing listens on port {port} of {name}") from error
    except OSError as error:  # a TimeoutError of asyncio's has no errno
        why = error.strerror or f"no answer within {within_s:g} s"
        raise GuestFailed(f"port {port} of {name} cannot be reached: {why}") from error
    return connection


def _settle(connection: socket.socket) -> None:
    """Make it what most want: small pieces go at once, a peer that is gone for good is noticed, and calls wait."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, QUIET_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, QUIET_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, UNANSWERED)
    connection.setblocking(True)
