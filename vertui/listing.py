"""What `ls` and `tree` print."""

import time
from collections.abc import Callable

from core.model import Branch, BranchState, Tree, Waiting
from core.ports import guest_side, leading_to
from vertui.lanes import BRANCH_MARKS, NodeKind, rows
from vertui.output import Cell, Row, clip, line_width, say_json, say_table, styled
from vertui.session import connect
from vertui.text import age, number, printable, short, size

NOTHING = "nothing yet: `vertui up` starts a machine"
NO_IMAGE = "nothing yet: `vertui image build` builds what machines start from, `vertui up` starts one"
BRANCH_HEADER = (
    "",
    "BRANCH",
    "STATE",
    "ADDRESS",
    "MEMORY",
    "CHANGED",
    "SCORE",
    "HEAD",
    "FROM",
    "UP",
    "PORTS",
    "NOTE",
)
EXPENDABLE = ("UP", "FROM", "HEAD", "CHANGED", "MEMORY", "PORTS")  # in a narrow terminal; --json has them all


def list_branches(json: bool) -> None:
    """A table of branches, or all there is as JSON."""
    tree = connect().tree()
    if json:
        say_json(tree)
    elif not tree.branches:
        print(NOTHING if tree.images else NO_IMAGE)
    else:
        say_table(BRANCH_HEADER, [_branch(tree, branch) for branch in tree.branches], EXPENDABLE)
    if not json and (line := waits(tree.waiting)):
        print(styled(line, "dim"))


def waits(waiting: Waiting) -> str:
    """What is kept ready for forks and what it takes; empty when nothing is."""
    if not waiting.machines and not waiting.spares:
        return ""
    spares = f"{waiting.spares} spare" + ("" if waiting.spares == 1 else "s")
    machines = f"{waiting.machines} warm machine" + ("" if waiting.machines == 1 else "s")
    return f"ready for forks: {spares}, {machines}, {size(waiting.memory_bytes)}"


def draw_tree(json: bool) -> None:
    """The commit graph with the branches on it, cut to the terminal's width, or all there is as JSON."""
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
        print(NOTHING if value.images else NO_IMAGE)


def _branch(tree: Tree, branch: Branch) -> Row:
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
        " ".join(
            f"{guest_side(port)}→{port.host_port}" for port in leading_to(branch.name, tree.trunk, tree.ports)
        ),
        printable(note),
    )


LISTINGS: dict[str, Callable[[bool], None]] = {"ls": list_branches, "tree": draw_tree}
