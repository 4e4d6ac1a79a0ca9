"""What was pruned and can come back."""

import time

from core.model import TrashEntry
from vertui.options import Json, new_app
from vertui.output import Row, say_json, say_table
from vertui.session import connect
from vertui.text import age, printable, size

app = new_app()
trash = new_app()
app.add_typer(trash, name="trash")

HEADER = ("ID", "KIND", "NAME", "SIZE", "DELETED", "KEPT FOR")


@trash.callback()
def _trash() -> None:
    """See, restore or empty what was pruned."""


@trash.command("ls")
def list_trash(json: Json = False) -> None:
    """List what was pruned and can be restored."""
    entries = connect().trash()
    if json:
        say_json(entries)
    elif not entries:
        print("the trash is empty")
    else:
        now = time.time()
        say_table(HEADER, [_entry(entry, now) for entry in entries])


def _entry(entry: TrashEntry, now: float) -> Row:
    kept = age(entry.expires - now) if entry.expires > now else "over"
    return (
        entry.id,
        entry.kind,
        printable(entry.name),
        size(entry.size_bytes),
        f"{age(now - entry.deleted)} ago",
        kept,
    )
