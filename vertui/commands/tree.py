"""What there is: `ls`, `tree` and `log`."""

import time
from typing import Annotated

import typer

from core.model import Operation, OperationState
from vertui.listing import draw_tree, list_branches
from vertui.options import Json, new_app
from vertui.output import Cell, Row, say_json, say_table
from vertui.session import connect
from vertui.text import age, printable

app = new_app()

LOG_HEADER = ("ID", "AGE", "VERB", "STATE", "WHAT")
OPERATION_COLOURS = {
    OperationState.INTENT: "yellow",
    OperationState.DONE: "green",
    OperationState.FAILED: "red",
    OperationState.UNDONE: "dim",
}


At = Annotated[
    int | None,
    typer.Option(
        "--at", metavar="ID", min=1, help="How it was when this operation of the log had ended.", show_default=False,
    ),
]  # fmt: skip


@app.command()
def ls(at: At = None, json: Json = False) -> None:
    """List branches: state, address, memory, score, published ports. * marks the trunk.

    CHANGED is the memory that differs from the base a machine lies on: its image, or what the last hand-over made. No
    commit lowers it.

    --json prints everything there is: branches, commits, images, published ports and the trunk.

    With --at nothing is told of what machines took then: nobody kept it.
    """
    list_branches(json, at)


@app.command()
def tree(at: At = None, json: Json = False) -> None:
    """Draw commits as a graph, newest at the top, with the branches that hang on them.

    \b
    ◌ starting  ● running  ◑ paused  ◔ suspended  ■ stopped  ✗ failed  ? lost     branches
    ◆ hot       ○ sealed   ✗ gone                                                 commits
    """
    draw_tree(json, at)


@app.command()
def log(
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="NUMBER", min=1, help="How many operations.")
    ] = 20,
    json: Json = False,
) -> None:
    """Show the newest operations: every verb that changed something, and how it ended."""
    operations = connect().log(limit)
    if json:
        say_json(operations)
    elif not operations:
        print("no operation yet")
    else:
        now = time.time()
        say_table(LOG_HEADER, [_operation(operation, now) for operation in operations])


def _operation(operation: Operation, now: float) -> Row:
    what = f"{operation.summary}: {operation.error}" if operation.error else operation.summary
    return (
        str(operation.id),
        age(now - operation.created),
        operation.verb,
        Cell(str(operation.state), OPERATION_COLOURS[operation.state]),
        printable(what),
    )
