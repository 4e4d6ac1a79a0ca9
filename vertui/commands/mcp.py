"""Tools for agents, by the Model Context Protocol."""

import asyncio
import ipaddress
import os
import socket
import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import Annotated

import typer

from core.errors import Unsupported, UsageError
from core.ports import parse_listener, url_of
from core.tokens import new_token
from vertui.options import Json, new_app
from vertui.output import say_json

app = new_app()
TOKEN = "VERTUI_MCP_TOKEN"


@app.command()
def mcp(
    http: Annotated[
        str | None,
        typer.Option(
            "--http", metavar="[ADDRESS:]PORT", help="Over HTTP at this machine; port 0 is any that is free."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Serve tools for agents: fork, exec, files, diff, commit, restore, promote, prune, score, journal and such.

    Over standard input and output, as coding agents start it, or with --http at an address of this machine, for who has
    the token: that of VERTUI_MCP_TOKEN, or one that is made and printed. From elsewhere come by `ssh -L`.

    promote and prune answer with a plan and a token of it, which `confirm` carries out. No tool says what a branch may
    reach, or publishes a port. A command hangs up when its call is cancelled. VERTUI_AUTHOR is who journals are told
    of. It takes the package mcp: `pip install 'vertui[mcp]'`.

    \b
    Examples:
      vertui mcp
      VERTUI_AUTHOR=planner vertui mcp
      vertui mcp --http 7077
    """
    if find_spec("mcp") is None:
        raise Unsupported("agents are spoken to by the package mcp: `pip install 'vertui[mcp]'` installs it")
    if json and http is None:
        raise UsageError("standard output is the agent's: --json goes with --http")
    listener = _listening(http) if http else None
    from vertui.mcp.server import PATH, serve_http, serve_stdio
    from vertui.sdk import AsyncVertui, connect

    v = AsyncVertui(connect().connected())
    with suppress(KeyboardInterrupt):
        if listener is None:
            asyncio.run(serve_stdio(v))
            return
        url, token = f"{url_of(*listener.getsockname()[:2])}{PATH}", os.environ.get(TOKEN) or new_token()
        if json:
            say_json({"url": url, "token": token})
        else:
            made = "" if os.environ.get(TOKEN) else f"\nAuthorization: Bearer {token}"
            print(f"{url}{made}\nCtrl-C ends it; machines run on")
        sys.stdout.flush()
        serve_http(v, listener, token)


def _listening(http: str) -> socket.socket:
    """At an address of this machine; UsageError for any other."""
    from vertui.serve.server import listening

    address, port = parse_listener(http)
    if not ipaddress.ip_address(address).is_loopback:
        raise UsageError(f"{address} is reached from elsewhere: listen at 127.0.0.1 and come by `ssh -L`")
    return listening(address, port)
