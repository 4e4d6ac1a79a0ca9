"""Values that are never shown."""

import time

from core.sites import spelled
from vertui.options import Json, new_app
from vertui.output import say_json, say_table
from vertui.session import connect
from vertui.text import age

app = new_app()
secret = new_app()
app.add_typer(secret, name="secret")


@secret.callback()
def _secret() -> None:
    """Keep values that commands in branches may be given."""


@secret.command("ls")
def list_secrets(json: Json = False) -> None:
    """List the names of secrets, and which sites they are for. Their values are never shown.

    With --json also the placeholder of each that is for some sites, for a file of a guest where a program looks for it.
    """
    found = connect().secrets()
    if json:
        say_json(found)
    elif not found:
        print("there are no secrets")
    else:
        now = time.time()
        rows = [
            (one.name, f"{age(now - one.changed)} ago", " ".join(map(spelled, one.sites))) for one in found
        ]
        say_table(("NAME", "SET", "FOR"), rows)
