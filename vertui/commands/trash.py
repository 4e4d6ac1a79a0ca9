"""Removing and taking back: `prune`, `undo`, `redo` and the trash between them."""

import time
from typing import Annotated

import typer

from core.model import TrashEntry
from vertui.commands.options import DryRun, Json, Yes, new_app
from vertui.output import Row, say_json, say_table
from vertui.session import connect, settle
from vertui.text import age, printable, size

app = new_app()
trash = new_app()
app.add_typer(trash, name="trash")

HEADER = ("ID", "KIND", "NAME", "SIZE", "DELETED", "KEPT FOR")


@app.command()
def prune(
    targets: Annotated[
        list[str], typer.Argument(metavar="BRANCH|COMMIT...", help="What to remove.", show_default=False)
    ],
    now: Annotated[
        bool, typer.Option("--now", help="Skip the trash and the last commit: nothing brings it back.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Remove branches and commits into the trash; `undo` brings them back as they were until the grace period ends.

    Shows the plan first, and asks.

    \b
    Examples:
      vertui prune b1 b3
      vertui prune b1 --dry-run
    """
    client = connect()
    plan = client.plan_prune(targets, now)
    if settle(client, plan, yes, dry_run):
        back = "undo: `vertui undo`" if plan.undoable else "for good"
        print(f"pruned {len(plan.branches)} branches and {len(plan.commits)} commits ({back})")


@app.command()
def undo() -> None:
    """Take the newest operation back that can be: fork, promote, prune, rename, score…"""
    print(printable(connect().undo().summary))


@app.command()
def redo() -> None:
    """Do again what was undone last."""
    print(printable(connect().redo().summary))


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


@trash.command()
def restore(
    entry: Annotated[
        str, typer.Argument(metavar="ID|NAME", help="As `vertui trash ls` shows it.", show_default=False)
    ],
) -> None:
    """Bring a pruned branch or commit back."""
    print(printable(connect().restore_trash(entry).summary))


@trash.command()
def empty(yes: Yes = False, dry_run: DryRun = False) -> None:
    """Free what the trash holds. Nothing brings it back. Shows the plan first, and asks."""
    client = connect()
    plan = client.plan_empty_trash()
    if settle(client, plan, yes, dry_run):
        print(f"the trash is empty, {size(plan.frees_bytes)} freed")


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
