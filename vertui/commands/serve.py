"""The UI on a page."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from tempfile import NamedTemporaryFile
from typing import Annotated

import typer

from core.daemon.endpoint import find_endpoint, variables_of
from core.errors import VertuiError
from core.ports import LOOPBACK, check_listener, parse_listener
from core.python import program
from core.tokens import new_token
from vertui.browser import open_url
from vertui.options import Json, new_app
from vertui.output import say_json
from vertui.session import revive

app = new_app()
PORT = 7090
LEADS_ON = '<!DOCTYPE html><meta http-equiv="refresh" content="0; url={}"><title>vertui</title>'


@app.command()
def serve(
    listen: Annotated[
        str,
        typer.Option(
            "--listen", metavar="[ADDRESS:]PORT", help="Where the page is; port 0 is any that is free."
        ),
    ] = f"{LOOPBACK}:{PORT}",
    in_the_clear: Annotated[
        bool,
        typer.Option(
            "--in-the-clear", help="With --listen: also at an address that others reach, who can read along."
        ),
    ] = False,
    browser: Annotated[
        bool,
        typer.Option("--browser/--no-browser", help="Open it, where there is a display, or print it alone."),
    ] = True,
    readonly: Annotated[
        bool,
        typer.Option(
            "--readonly", help="To look only: whoever has the page changes nothing, whatever they type."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Show the UI on a page of this machine, until Ctrl-C.

    The URL lets in whoever has it, and nobody else. Each page is a UI of its own, which ends when the page is closed;
    machines run on. All that it needs comes from this machine. From elsewhere come by `ssh -L 7090:127.0.0.1:7090`.

    With --readonly its keys change nothing, machines take no input, and neither file nor program of this machine can be
    had: what the tree, diffs and outputs show is all that whoever looks gets. A daemon that is stopped stays so.

    \b
    Examples:
      vertui serve
      vertui serve --listen 0 --no-browser
      vertui serve --readonly
    """
    from vertui.serve.server import listening, serve, url_with  # uvicorn and more: --help can do without

    endpoint = find_endpoint()
    if readonly:  # of whoever looks none may
        with suppress(VertuiError):  # each page says why nothing comes
            revive(endpoint)
    address, port = parse_listener(listen)
    listener, token = listening(check_listener(address, in_the_clear=in_the_clear), port), new_token()
    url = url_with(token, listener)
    if json:
        say_json({"url": url})
        sys.stdout.flush()
    else:
        only = "to look only; " if readonly else ""
        print(f"{url}\n{only}Ctrl-C ends it; machines run on", flush=True)
    environment = {**os.environ, **variables_of(endpoint), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    with _opened(url) if browser and not json else nullcontext(), suppress(KeyboardInterrupt):
        serve(listener, token, [*program("vertui"), *(["--readonly"] if readonly else [])], environment)


@contextmanager
def _opened(url: str) -> Iterator[None]:
    """The page in a browser, led there by a file for its user alone (0600): others can read what it is started with."""
    with NamedTemporaryFile("w", prefix="vertui-", suffix=".html") as page:
        page.write(LEADS_ON.format(url))
        page.flush()
        open_url(f"file://{page.name}")
        yield
