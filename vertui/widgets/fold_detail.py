"""What is folded into one line of the tree, as lines."""

from collections.abc import Sequence

from rich.text import Text

from core.model import Branch
from vertui import theme
from vertui.actions import BY_ID
from vertui.folds import FoldRow
from vertui.lanes import BRANCH_MARKS, COMMIT_MARKS
from vertui.plain import cut_each
from vertui.selection import Node
from vertui.text import number, printable, short

MOST = 200  # nodes told one by one


def fold_detail(fold: FoldRow, width: int) -> list[Text]:
    """What it stands for: its branches, the best first, or its commits, the newest first."""
    branches = sorted(fold.branches, key=lambda one: (one.score is None, -(one.score or 0.0)))
    nodes: Sequence[Node] = branches or fold.nodes
    title = Text.assemble(("… ", theme.TEAL), (fold.text, f"bold {theme.BRIGHT}"))
    keys = f"{BY_ID['fold'].key_label} unfolds it, {BY_ID['fold_all'].key_label} unfolds everything"
    lines = [title, Text(keys, style=theme.MUTED), Text()]
    lines += map(_line, nodes[:MOST])
    if len(nodes) > MOST:
        lines.append(Text(f"and {len(nodes) - MOST} more", style=theme.FAINT))
    return list(cut_each(lines, width))


def _line(node: Node) -> Text:
    mark = BRANCH_MARKS[node.state] if isinstance(node, Branch) else COMMIT_MARKS[node.state]
    line = Text.assemble((f"{mark.glyph} ", theme.colour_of(node)))
    if not isinstance(node, Branch):
        return line.append(f"{short(node.id)} ", theme.MUTED).append(printable(node.message), theme.TEXT)
    score = f"{number(node.score)}  " if node.score is not None else ""
    line.append(f"{printable(node.name)}  ", f"bold {theme.BRIGHT}").append(score, theme.BRIGHT)
    return line.append(f"{node.state}  ", theme.colour_of(node)).append(
        printable(node.note or ""), theme.MUTED
    )
