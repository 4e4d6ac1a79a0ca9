"""The live tree: the lane graph of commits with the branches on it, one row a node."""

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from core.model import Branch, Commit, CommitState, Origin
from vertui import theme
from vertui.lanes import LaneRow
from vertui.selection import Node, key_of
from vertui.text import number, printable, short, size
from vertui.widgets.rows import RowList, columns

WIDE = 48  # columns from which a row also says sizes and times
WIDER = 76  # … and addresses


class TreeView(RowList[LaneRow]):
    """The tree. `marked` holds the keys of the nodes that verbs act on together."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(self._draw_row, lambda row: key_of(row.item), id=id)
        self.marked: set[str] = set()
        self._all: Sequence[LaneRow] = ()
        self._filter = ""
        self._stale = False

    @property
    def stale(self) -> bool:
        """Is what is shown no longer known to be so?"""
        return self._stale

    @stale.setter
    def stale(self, stale: bool) -> None:
        if stale != self._stale:
            self._stale = stale
            self.draw_anew()

    def show_tree(self, rows: Sequence[LaneRow]) -> None:
        """Show another version of the tree; marks of nodes that went are dropped."""
        self._all = rows
        self.marked &= {key_of(row.item) for row in rows}
        self._show_filtered()

    @property
    def filter(self) -> str:
        """What rows must contain to be shown."""
        return self._filter

    @filter.setter
    def filter(self, text: str) -> None:
        self._filter = text
        self._show_filtered()

    @property
    def node(self) -> Node | None:
        """The node under the cursor."""
        return self.current.item if self.current else None

    @property
    def marked_nodes(self) -> tuple[Node, ...]:
        """The marked nodes from the top of the tree down."""
        return tuple(row.item for row in self._all if key_of(row.item) in self.marked)

    def toggle_mark(self) -> None:
        """Mark the node under the cursor, or no longer, and go on to the next."""
        if self.node is None:
            return
        self.marked ^= {key_of(self.node)}
        self.draw_anew()
        self.action_move(1)

    def clear_marks(self) -> None:
        """Mark nothing."""
        self.marked.clear()
        self.draw_anew()

    def go_home(self) -> None:
        """Put the cursor on the trunk."""
        for row in self._items:
            if isinstance(row.item, Branch) and row.item.trunk:
                self.go_to(key_of(row.item))

    def _show_filtered(self) -> None:
        words = self._filter.lower().split()
        self.show([row for row in self._all if all(word in row.text.lower() for word in words)])

    def _draw_row(self, row: LaneRow, width: int) -> Text:
        left = Text("✓ " if key_of(row.item) in self.marked else "  ", style=theme.GOLD, no_wrap=True)
        if not self._filter:  # the rows that lanes lead to may be hidden
            for segment in row.lanes:
                left.append(segment.text, theme.LANES[segment.lane % len(theme.LANES)])
        left.append(row.mark.glyph, theme.colour_of(row.item)).append(" ")
        if isinstance(row.item, Branch):
            line = columns(left.append_text(_branch(row.item)), _branch_facts(row.item, width), width)
        else:
            line = columns(left.append_text(_commit(row.item)), _commit_facts(row.item, width), width)
        if self._stale:
            line.stylize(theme.FAINT)
        return line


def _branch(branch: Branch) -> Text:
    text = Text(printable(branch.name), style=f"bold {theme.BRIGHT}")
    if branch.trunk:
        text.append(" ★ trunk", f"bold {theme.GOLD}")
    return text


def _branch_facts(branch: Branch, width: int) -> Text:
    """Right-aligned columns, so that states, sizes and scores stand below each other."""
    colour = theme.colour_of(branch)
    text = Text.assemble((number(branch.score), f"bold {theme.BRIGHT}"))
    if width >= WIDER and branch.address:
        text.append(f"  {printable(branch.address):<15}", theme.FAINT)
    if width >= WIDE and branch.changed_bytes:
        text.append(f" {'+' + size(branch.changed_bytes):>6}", theme.MUTED)
    return text.append(f"  {branch.state:<9}", colour)


def _commit(commit: Commit) -> Text:
    text = Text(short(commit.id), style=theme.MUTED)
    for tag in commit.tags:
        text.append(f" {printable(tag)} ", f"{theme.GROUND} on {theme.GOLD}")
    text.append(f" {printable(commit.message)}", theme.TEXT)
    return text


def _commit_facts(commit: Commit, width: int) -> Text:
    text = Text(style=theme.FAINT)
    if commit.origin is Origin.FOREIGN:
        text.append("foreign ", theme.GOLD)
    if not commit.quiesced:
        text.append("unquiesced ", theme.GOLD)
    if commit.state is not CommitState.SEALED:
        text.append(f"{commit.state} ", theme.colour_of(commit))
    if width >= WIDE:
        text.append(f"{size(commit.stored_bytes):>5}  " if commit.stored_bytes else "")
        text.append(f"{_when(commit.created):<9}")
    return text


def _when(created: float) -> str:
    """The clock today, the day before that: neither goes stale on an idle screen."""
    moment = datetime.fromtimestamp(created)
    today = moment.date() == datetime.now().date()
    return moment.strftime("%H:%M:%S" if today else "%d %b")
