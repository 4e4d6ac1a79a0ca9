"""What there is: `ls`, `tree` and `log`."""

import time
from typing import Annotated

import typer

from core.model import Branch, BranchState, Operation, OperationState
from vertui.commands.options import Json, new_app
from vertui.lanes import BRANCH_MARKS, NodeKind, rows
from vertui.output import Cell, Row, clip, line_width, say_json, say_table, styled
from vertui.session import connect
from vertui.text import age, number, printable, short, size

app = new_app()

NOTHING = "nothing yet: `vertui up` starts a machine"
BRANCH_HEADER = ("", "BRANCH", "STATE", "ADDRESS", "MEMORY", "CHANGED", "SCORE", "HEAD", "FROM", "UP", "NOTE")
LOG_HEADER = ("ID", "AGE", "VERB", "STATE", "WHAT")
OPERATION_COLOURS = {
    OperationState.INTENT: "yellow",
    OperationState.DONE: "green",
    OperationState.FAILED: "red",
    OperationState.UNDONE: "dim",
}


@app.command()
def ls(json: Json = False) -> None:
    """List branches: state, address, memory, what changed since the head, score. * marks the trunk.

    --json prints everything there is: branches, commits, images and the trunk.
    """
    tree = connect().tree()
    if json:
        say_json(tree)
    elif not tree.branches:
        print(NOTHING)
    else:
        say_table(BRANCH_HEADER, [_branch(branch) for branch in tree.branches])


@app.command()
def tree(json: Json = False) -> None:
    """Draw commits as a graph, newest at the top, with the branches that hang on them.

    \b
    ● running  ◑ paused  ◔ suspended  ■ stopped  ✗ failed  ? lost     branches
    ◆ hot      ○ sealed  ✗ gone                                       commits
    """
    value = connect().tree()
    if json:
        say_json(value)
        return
    now, width = time.time(), line_width()
    for row in rows(value):
        text = f"{row.text}  {age(now - row.item.created)}" if row.kind is NodeKind.COMMIT else row.text
        text = text if width is None else clip(text, max(10, width - 2 * row.lane - 2))
        lanes = "".join(segment.text for segment in row.lanes)
        here = "bold" if isinstance(row.item, Branch) and row.item.trunk else ""
        print(f"{lanes}{styled(row.mark.glyph, row.mark.colour)} {styled(text, here)}")
    if not value.branches and not value.commits:
        print(NOTHING)


@app.command()
def log(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many operations.")] = 20,
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


def _branch(branch: Branch) -> Row:
    mark = BRANCH_MARKS[branch.state]
    note = branch.note if branch.state is BranchState.RUNNING else branch.reason
    return (
        Cell("*" if branch.trunk else "", "bold"),
        Cell(branch.name, "bold" if branch.trunk else ""),
        Cell(f"{mark.glyph} {branch.state}", mark.colour),
        branch.address or "",
        size(branch.memory_bytes) if branch.pid else "",
        size(branch.changed_bytes) if branch.pid else "",
        number(branch.score),
        short(branch.head),
        branch.parent_branch or "",
        age(branch.uptime_s) if branch.pid else "",
        printable(note),
    )


def _operation(operation: Operation, now: float) -> Row:
    what = f"{operation.summary}: {operation.error}" if operation.error else operation.summary
    return (
        str(operation.id),
        age(now - operation.created),
        operation.verb,
        Cell(str(operation.state), OPERATION_COLOURS[operation.state]),
        printable(what),
    )
