"""What `ls` and `tree` print."""

import time
from collections.abc import Callable

from core.model import Branch, BranchState, Origin, Tree, Waiting
from core.ports import guest_side, leading_to
from core.reach import ReachMode
from vertui.lanes import BRANCH_MARKS, NodeKind, rows
from vertui.output import Cell, Row, clip, line_width, say_json, say_table, styled
from vertui.session import connect
from vertui.text import age, counted, left_of, number, printable, short, size

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
    "EGRESS",
    "LINKS",
    "PORTS",
    "NOTE",
)
EXPENDABLE = ("UP", "FROM", "HEAD", "CHANGED", "MEMORY", "LINKS", "EGRESS", "PORTS")
"""What goes in turn from a narrow terminal; --json has them all."""


def list_branches(json: bool, at: int | None = None) -> None:
    """A table of branches, or all there is as JSON; now, or when an operation had ended."""
    tree = _tree(at)
    if json:
        say_json(tree)
    elif not tree.branches:
        print(_nothing(tree))
    else:
        say_table(BRANCH_HEADER, [_branch(tree, branch) for branch in tree.branches], EXPENDABLE)
    if not json and (line := waits(tree.waiting)):
        print(styled(line, "dim"))


def waits(waiting: Waiting) -> str:
    """What is kept ready for forks and what it takes; empty when nothing is."""
    if not waiting.machines and not waiting.spares:
        return ""
    spares, machines = counted(waiting.spares, "spare"), counted(waiting.machines, "warm machine")
    return f"ready for forks: {spares}, {machines}, {size(waiting.memory_bytes)}"


def draw_tree(json: bool, at: int | None = None) -> None:
    """The commit graph with the branches on it, cut to the terminal's width, or all there is as JSON; now, or when an
    operation had ended.
    """
    value = _tree(at)
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
        print(_nothing(value))


def _tree(at: int | None) -> Tree:
    client = connect()
    tree = client.tree()
    if at is None:
        return tree
    from core.daemon.mirror import as_it_was

    return as_it_was(tree, client.then_at(at, tree.moment, exact=False))


def _nothing(tree: Tree) -> str:
    """Says what there is to begin with."""
    imported = next((commit for commit in reversed(tree.commits) if commit.origin is not Origin.HERE), None)
    if imported:
        trust = " --trust" if imported.origin is Origin.FOREIGN else ""
        return f"nothing yet but what was imported: `vertui fork {short(imported.id)}{trust}` starts it"
    return NOTHING if tree.images else NO_IMAGE


def _branch(tree: Tree, branch: Branch) -> Row:
    mark = BRANCH_MARKS[branch.state]
    note = branch.note if branch.state is BranchState.RUNNING else branch.reason
    note = "; ".join(filter(None, (note, left_of(branch))))
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
        "" if branch.egress.mode is ReachMode.OFF else branch.egress.mode,
        " ".join(branch.links),
        " ".join(
            f"{guest_side(port)}→{port.host_port}" for port in leading_to(branch.name, tree.trunk, tree.ports)
        ),
        printable(note),
    )


LISTINGS: dict[str, Callable[[bool], None]] = {"ls": list_branches, "tree": draw_tree}
