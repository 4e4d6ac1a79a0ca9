"""The server of the page, until somebody ends it."""

import asyncio
import errno
import os
import signal
import socket
from collections.abc import Callable, Sequence

from uvicorn import Config

from core.daemon.peers import BACKLOG, HttpServer, PeerProtocol
from core.errors import Conflict, UsageError
from core.ports import url_of
from vertui.serve.gate import TOKEN, PageGate
from vertui.serve.pages import pages
from vertui.serve.program import END_S, TerminalProgram

PING_S = 20.0  # a page whose machine is gone is noticed by that
LONGEST_MESSAGE = 4 << 20  # bytes: what is pasted is one


def listening(address: str, port: int) -> socket.socket:
    """A socket there; Conflict when somebody else has the port, UsageError when this host has no such address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Conflict(f"port {port} is taken: `--listen 0` takes any that is free") from error
        raise UsageError(
            f"cannot listen at {address}, port {port}: {os.strerror(error.errno or 0)}"
        ) from error


def url_with(token: str, listener: socket.socket) -> str:
    """What lets a browser in."""
    address, port = listener.getsockname()[:2]
    named = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
    return f"{url_of(named, port)}/?{TOKEN}={token}"


def serve(listener: socket.socket, token: str, argv: Sequence[str], environment: dict[str, str]) -> None:
    """Show a program of this command line on each page that is opened, until a signal, which ends them all."""

    def start(columns: int, rows: int) -> TerminalProgram:
        return TerminalProgram(argv, environment, columns, rows)

    made = server(listener, token, start)
    signal.signal(signal.SIGHUP, made.handle_exit)
    signal.signal(signal.SIGTERM, _leave)  # uvicorn says it again at its end
    asyncio.run(made.serve([listener]))


def _leave(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def server(listener: socket.socket, token: str, start: Callable[[int, int], TerminalProgram]) -> HttpServer:
    """Made, and not yet serving."""
    name = f"vertui-{listener.getsockname()[1]}"  # cookies know no ports: another page of ours keeps its own
    config = Config(
        PageGate(pages(start), token, name), http=PeerProtocol, ws="websockets-sansio",
        log_config=None, log_level="error", access_log=False, lifespan="off", server_header=False,
        backlog=BACKLOG, timeout_graceful_shutdown=int(END_S) + 1, ws_max_size=LONGEST_MESSAGE, ws_ping_interval=PING_S,
    )  # fmt: skip
    return HttpServer(config)
