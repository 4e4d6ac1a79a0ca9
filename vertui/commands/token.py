"""Who is let in by the daemon's port."""

import time

from vertui.options import Json, new_app
from vertui.output import say_json, say_table
from vertui.session import connect
from vertui.text import age

app = new_app()
token = new_app()
app.add_typer(token, name="token")


@token.callback()
def _token() -> None:
    """Say who is let in by the daemon's port, which `daemon start --listen` opens."""


@token.command("ls")
def list_tokens(json: Json = False) -> None:
    """List the names of tokens, and by how many connections their bearers are in. No token is ever shown again."""
    found = connect().tokens()
    if json:
        say_json(found)
    elif not found:
        print("there are no tokens")
    else:
        now = time.time()
        rows = [(one.name, f"{age(now - one.created)} ago", str(one.connections)) for one in found]
        say_table(("NAME", "MADE", "CONNECTIONS"), rows)
