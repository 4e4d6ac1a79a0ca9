"""How a row of the tree looks: lanes, mark and name at the left, columns that stand below each other at the right.

Name and state are never cut. Where there is no room for all, first columns go, then lanes, from the left on.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from rich.cells import cell_len
from rich.text import Text

from core.model import Branch, BranchState, Commit, CommitState, Origin
from vertui import theme
from vertui.actions import BY_ID
from vertui.columns import STATE_WIDTH, fitting
from vertui.folds import FoldRow, Row
from vertui.lanes import LaneRow, lanes
from vertui.lives import SAMPLES, Lives, changed_bars, cpu_bars, said, score_bar
from vertui.plain import cut
from vertui.selection import Node
from vertui.text import age, number, printable, short, size

SIDE = 4  # cells of mark and glyph
LONGEST_NAME = 31
MOST_LANES = 6  # for which columns give way
TRUNK = " ★ trunk"
LEFT_OUT = "‹ "  # in place of the lanes that there is no room for
BAR_WIDTH = 4  # of a score
NOT_DISTINCT = "runs, and becomes distinct"  # of a fork's child


def draw_row(row: Row, width: int, name: int, prefix: Text, lives: Lives) -> Text:
    """One row; `name` is the room that `name_room` gives, `prefix` the two cells of its mark."""
    columns = fitting(width - SIDE - 1, name, lives.empty)  # a blank stands before them
    what = _what(row)
    right = Text() if isinstance(row, FoldRow) else _columns(row.item, columns, lives)
    needed = cell_len(_name(row)) if isinstance(row, LaneRow) else 0
    if width - SIDE - right.cell_len - 1 < needed:  # no state in words: its glyph says it
        right = Text()
    room = width - right.cell_len - bool(right)
    left = prefix
    _draw_lanes(left, row, room - SIDE - max(needed, min(what.cell_len, room // 2)))
    if isinstance(row, LaneRow):
        left.append(row.mark.glyph, theme.colour_of(row.item)).append(" ")
    else:
        left.append("… ", theme.TEAL)
    cut(left.append_text(what), room, pad=bool(right))
    return left.append(" ").append_text(right) if right else left


def _what(row: Row) -> Text:
    if isinstance(row, FoldRow):
        return _fold(row)
    return _branch(row.item) if isinstance(row.item, Branch) else _commit(row.item)


def name_room(branches: Iterable[tuple[int, Branch]]) -> int:
    """Cells that the longest name takes, of branches right of so many lanes."""
    return max((_cells(depth, branch) for depth, branch in branches), default=0)


def _cells(depth: int, branch: Branch) -> int:
    name = min(cell_len(printable(branch.name)), LONGEST_NAME)
    return 2 * min(depth, MOST_LANES) + name + branch.trunk * len(TRUNK)


def _name(row: LaneRow) -> str:
    return printable(row.item.name) if isinstance(row.item, Branch) else short(row.item.id)


def _draw_lanes(left: Text, row: Row, room: int) -> None:
    """As many lanes as there is room for, the right ones rather."""
    kept = min(row.depth, max(1, room // 2))
    first = row.depth - kept
    if first:
        left.append(LEFT_OUT, theme.FAINT)
        first += 1
    for piece in lanes(first, row.depth, row.joins):
        left.append(piece.text, theme.LANES[piece.lane % len(theme.LANES)])


def _fold(row: FoldRow) -> Text:
    text = Text(row.text, style=theme.MUTED)
    return text.append(f"  {BY_ID['fold'].key_label}", f"bold {theme.TEAL}")


def _branch(branch: Branch) -> Text:
    """What it is, and what is known of it."""
    text = Text.assemble((printable(branch.name), f"bold {theme.BRIGHT}"))
    if branch.trunk:
        text.append(TRUNK, f"bold {theme.GOLD}")
    for words in _known(branch):
        if words and words != branch.state:
            text.append(f"  {words}", theme.MUTED)
    return text


def _known(branch: Branch) -> tuple[str, ...]:
    """Why it does not run, or what it printed last, and the note on it."""
    if branch.state is BranchState.STARTING and branch.pid is not None:
        return (NOT_DISTINCT,)
    if branch.state is not BranchState.RUNNING:
        return (printable(branch.reason),)
    return said(branch.last) if branch.last else "", printable(branch.note)


def _commit(commit: Commit) -> Text:
    text = Text.assemble((short(commit.id), theme.MUTED))
    for tag in commit.tags:
        text.append(f" {printable(tag)} ", f"{theme.GROUND} on {theme.GOLD}")
    return text.append(f" {printable(commit.message)}", theme.TEXT)


def _columns(node: Node, columns: tuple[str, ...], lives: Lives) -> Text:
    """All columns and the state, without the empty ones at the left: what the row says has their room."""
    text = Text()
    for column in columns:
        cell = CELLS[column](node, lives)
        if text or cell.plain.strip():
            text.append_text(cell)
    word = str(node.state) if isinstance(node, Branch) else _state(node)
    if not word and "when" not in columns:
        return text.append(f"{_when(node.created):<{STATE_WIDTH}}", theme.FAINT)
    return text.append(f"{word:<{STATE_WIDTH}}", theme.GOLD if word in WARNINGS else theme.colour_of(node))


WARNINGS = ("foreign", "unquiesced")


def _state(commit: Commit) -> str:
    """What is not as it mostly is, the weightiest; nothing for a sealed commit."""
    if commit.state is CommitState.GONE:
        return str(commit.state)
    if commit.origin is Origin.FOREIGN:
        return WARNINGS[0]
    if not commit.quiesced:
        return WARNINGS[1]
    return "" if commit.state is CommitState.SEALED else str(commit.state)


def score_cell(score: float | None) -> str:
    """A score in at most six characters, seven for what is next to nothing or everything."""
    if score is None:
        return ""
    forms = (number(score), *(f"{score:.{digits}g}" for digits in (4, 3, 2, 1)))
    return next((form for form in forms if len(form) <= 6), forms[-1])


def _exit(node: Node, lives: Lives) -> Text:
    """How its newest command ended, or that it runs, with a mark while nobody has looked."""
    if not isinstance(node, Branch) or node.last is None:
        return Text(" " * 7)
    life, last = lives.of(node), node.last
    text = Text("•" if life is not None and life.unread else " ", style=f"bold {theme.GOLD}")
    runs = last.exit_code is None
    mark, colour = ("▸", theme.TEAL) if runs else theme.exit_mark(last.exit_code or 0, last.timed_out)
    return text.append(f"{mark:<6}", colour)


def _score(node: Node, lives: Lives) -> Text:
    score = node.score if isinstance(node, Branch) else None
    return Text(f"{score_cell(score):>6} ", style=f"bold {theme.BRIGHT}")


def _bar(node: Node, lives: Lives) -> Text:
    """A score beside the best."""
    score = node.score if isinstance(node, Branch) else None
    shown = score_bar(score, lives.scores, BAR_WIDTH) if score is not None and lives.scores else ""
    return Text(f"{shown:<{BAR_WIDTH}} ", style=theme.GOLD)


def _cpu(node: Node, lives: Lives) -> Text:
    life = lives.of(node) if isinstance(node, Branch) else None
    return Text(f"{cpu_bars(life) if life else '':>{SAMPLES}} ", style=theme.TEAL)


def _pages(node: Node, lives: Lives) -> Text:
    life = lives.of(node) if isinstance(node, Branch) else None
    return Text(f"{changed_bars(life) if life else '':>{SAMPLES}} ", style=theme.VIOLET)


def _address(node: Node, lives: Lives) -> Text:
    address = printable(node.address) if isinstance(node, Branch) and node.address else ""
    return Text(f"{address:<15} ", style=theme.FAINT)


def _memory(node: Node, lives: Lives) -> Text:
    memory = size(node.memory_bytes) if isinstance(node, Branch) and node.memory_bytes else ""
    return Text(f"{memory:>6} ", style=theme.MUTED)


def _changed(node: Node, lives: Lives) -> Text:
    changed = node.changed_bytes if isinstance(node, Branch) else node.stored_bytes
    sign = "+" if isinstance(node, Branch) else ""
    return Text(f"{sign + size(changed) if changed else '':>6} ", style=theme.MUTED)


def _time(node: Node, lives: Lives) -> Text:
    """How long a machine has been up, which its events tell by the minute; of all else when it was made."""
    up_s = node.uptime_s if isinstance(node, Branch) and node.state is BranchState.RUNNING else 0.0
    shown = f"up {age(up_s) if up_s >= 60 else '<1m'}" if up_s else _when(node.created)
    return Text(f"{shown:>9} ", style=theme.FAINT)


CELLS: dict[str, Callable[[Node, Lives], Text]] = {
    "exit": _exit, "score": _score, "bar": _bar, "cpu": _cpu, "pages": _pages, "address": _address,
    "memory": _memory, "changed": _changed, "when": _time,
}  # fmt: skip


def _when(created: float) -> str:
    """The clock today, the day before that: neither goes stale on an idle screen."""
    moment = datetime.fromtimestamp(created)
    today = moment.date() == datetime.now().date()
    return moment.strftime("%H:%M:%S" if today else "%d %b")
