"""Ports of guests: which there are, and opening one in a browser."""

from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import Conflict, NotFound
from core.inward import GuestPort, PortProtocol, PublishedPort
from core.ports import INNER, guest_side, parse_port, place, url
from core.verbs.publish import Publish
from vertui.browser import open_url
from vertui.options import BranchName, Json, new_app
from vertui.output import Cell, Row, say_json, say_table
from vertui.session import connect
from vertui.text import printable

if TYPE_CHECKING:
    from core.daemon.client import Client

app = new_app()

HEADER = ("PORT", "ON THIS HOST", "PROGRAM", "LISTENS ON", "NOTE")
SSH = 22


@app.command()
def ports(branch: BranchName, json: Json = False) -> None:
    """List the ports that programs in a branch listen on, and where this host reaches those that are published."""
    found = connect().ports(branch)
    if json:
        say_json(found)
    elif not found:
        print("no port is published, and nobody listens on one")
    else:
        say_table(HEADER, [_port(port) for port in found], ("LISTENS ON",))


@app.command("open")
def open_(
    branch: BranchName,
    port: Annotated[
        str | None, typer.Argument(metavar="[PORT]", help="A port of the guest.", show_default="the only one")
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open it, or print it alone.")
    ] = True,
    json: Json = False,
) -> None:
    """Print the URL of a branch's port, and open it in the browser if there is one.

    A port that is not published yet is published first.

    \b
    Examples:
      vertui open b1
      vertui open b1 3000
    """
    client = connect()
    chosen = published(client, branch, port)
    if json:
        say_json({"url": url(chosen)})
    else:
        print(url(chosen))
    if browser and not json:
        open_url(url(chosen))


def published(client: "Client", branch: str, port: str | None) -> PublishedPort:
    """The port that is meant, published from now on if it was not. NotFound when there is none, Conflict when it may be
    any of several.
    """
    wanted = parse_port(port) if port is not None else None
    streams = [one for one in client.ports(branch) if one.protocol is PortProtocol.TCP]
    if wanted is None:
        chosen = _only(branch, streams)
    else:
        chosen = next(
            (one for one in streams if one.port == wanted.guest_port),
            GuestPort(wanted.guest_port, wanted.protocol),
        )
    if chosen.published is not None:
        return chosen.published
    return client.do(Publish(branch, (str(chosen.port),))).ports[0]


def _only(branch: str, found: list[GuestPort]) -> GuestPort:
    """Of those that are published the only one, or else of those that somebody listens on."""
    heard = [one for one in found if one.port != SSH and not one.listening.startswith(INNER)]
    for some in ([one for one in found if one.published], heard):
        if len(some) == 1:
            return some[0]
        if some:
            there = ", ".join(str(one.port) for one in some)
            raise Conflict(f"it may be any of {there}: `vertui open {branch} {some[0].port}` opens one")
    raise NotFound(
        f"nobody listens on a port of {branch} that can be reached: `vertui ports {branch}` lists all"
    )


def _port(port: GuestPort) -> Row:
    side = guest_side(port)
    note = "nobody listens now" if not port.listening else ""
    if port.listening.startswith(INNER):
        note = "only inside: have it listen on 0.0.0.0"
    if port.published is None:
        return (side, "", printable(port.command), printable(port.listening), note)
    broken = Cell(printable(port.published.reason), "red") if port.published.reason else note
    at = place(port.published) + (
        f" ({port.published.branch})" if port.published.branch.startswith("@") else ""
    )
    return (Cell(side, "bold"), at, printable(port.command), printable(port.listening), broken)
