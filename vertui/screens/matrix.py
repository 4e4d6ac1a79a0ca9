"""Siblings side by side: which files differ in which of them, and what each did to the file under the cursor."""

import shlex
from collections.abc import Iterable, Sequence
from functools import partial
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.message import Message
from textual.widget import Widget

from core.diff.result import SiblingRow, Siblings
from core.errors import VertuiError
from vertui import theme
from vertui.compare.change import FilePatch, gathered, names_of
from vertui.compare.folders import ROOT, Folders, Node
from vertui.plain import Words, entitle
from vertui.screens.base import bound
from vertui.screens.comparing import SETTLE_S, WALKING, ComparingScreen
from vertui.screens.diff import DiffScreen
from vertui.screens.summary import MARKS
from vertui.text import counted, printable, short, size
from vertui.widgets.change_view import ChangeView
from vertui.widgets.folder_list import FolderList
from vertui.widgets.footer import KeyHints
from vertui.widgets.rows import columns

LEAST_CELL, MOST_CELL = 5, 14  # cells wide
SHARE = 0.6  # of a row that cells may have


class MatrixList(FolderList[SiblingRow]):
    """The rows of a matrix: left and right choose a column, enter folds a folder and chooses a cell."""

    class Sideways(Message):
        """Another column."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def action_fold(self) -> None:
        """The column at the left."""
        self.post_message(self.Sideways(-1))

    def action_unfold(self) -> None:
        """The column at the right."""
        self.post_message(self.Sideways(1))


class MatrixScreen(ComparingScreen[Siblings]):
    """A row a file, a column a state; equal numbers in a row are the same change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bound("diff", "open"),
        Binding("circumflex_accent", "base", show=False),
        *(Binding(str(number), f"column({number - 1})", show=False) for number in range(1, 9)),
    ]

    def __init__(self, refs: tuple[str, ...]) -> None:
        super().__init__()
        self._marked = refs
        self._from_first = False
        self._column = 0
        self._alike = 0  # files that are changed in all in the same way
        self._changes: dict[str, FilePatch] = {}
        self._names = Words(id="columns")
        self._list = MatrixList(lambda row: Text("  "), self._cells, id="matrix")
        self._view = ChangeView(id="across")

    def compose(self) -> ComposeResult:
        """The columns' names, the rows, the changes of one, keys."""
        yield self._names
        yield self._list
        yield self._view
        yield self.line
        yield self.notes
        yield KeyHints(
            ("⏎", "diff of the cell"), ("h/l", "column"), ("1-8", "column"), ("^", "with the first, or the base"),
            *WALKING, ("esc", "back"), ("{help}", "all keys"),
        )  # fmt: skip

    # -- the comparison --------------------------------------------------------------------------------------

    def action_base(self) -> None:
        """Compare with the first state, or again with the commit that all come from."""
        self._from_first = not self._from_first
        self._column = 0
        self.read()

    def read(self) -> None:
        """Compare all of them."""
        self._changes.clear()
        refs = self._marked[1:] if self._from_first else self._marked
        base = self._marked[0] if self._from_first else ""
        client, asked = self.vertui.client, self.begin(f"{len(refs)} states")

        def failed(error: VertuiError) -> None:
            if not self.is_late(asked):
                self.unread = True
                entitle(self.files, below=Text(printable(f"{error}: ctrl+r tries again"), style=theme.RED))

        def work() -> tuple[Siblings, int]:
            found = client.diff_siblings(refs, base=base)
            return found, sum(len({cell and cell.change for cell in row.cells}) == 1 for row in found.rows)

        def compared(told: tuple[Siblings, int]) -> None:
            if not self.is_late(asked):
                found, self._alike = told
                self.tell_notes(found.notes)
                self.take(found)

        self.vertui.call(f"comparing {', '.join(refs)}", work, compared, failed)

    def items_of(self, found: Siblings) -> Sequence[SiblingRow]:
        """All files that differ."""
        return found.rows

    def show_found(self, tree: Folders[SiblingRow]) -> None:
        """Show the tree, the columns and what is under the cursor."""
        rows = self.found.rows if self.found else ()
        files = f"{counted(len(rows), 'file')} differ{'s' * (len(rows) == 1)}"
        differ = f"{files} in some, {self._alike} in all in the same way"
        entitle(self.files, below=f"/{self.words} · {differ}" if self.words else differ)
        self.show_tree(tree)
        self.action_column(self._column)
        self.look()

    @property
    def _base(self) -> str:
        """The REF that all are compared with, as it is said."""
        if self.found is None:
            return ""
        return self.found.base if self.found.base in self._marked else short(self.found.base)

    @property
    def _refs(self) -> tuple[str, ...]:
        return self.found.refs if self.found else ()

    @property
    def command(self) -> str:
        """The command that prints the matrix."""
        base = ["--base", self._base] if self._from_first else []
        return shlex.join(["vertui", "diff", "--multi", *self._refs, *base])

    # -- the cells -------------------------------------------------------------------------------------------

    def on_matrix_list_sideways(self, message: MatrixList.Sideways) -> None:
        """Another column."""
        self.action_column(self._column + message.by)

    def action_column(self, column: int) -> None:
        """Choose a column."""
        self._column = max(0, min(column, len(self._refs) - 1))
        self.files.draw_anew()
        self._tell_columns()

    def on_resize(self, event: Resize) -> None:
        """Columns have another width."""
        self.call_after_refresh(self._tell_columns)

    def _tell_columns(self) -> None:
        if not self._refs:
            return
        width = self.files.scrollable_content_region.width  # of which each row begins with a bar or a blank
        names = Text()
        for column, ref in enumerate(self._refs):
            style = f"bold {theme.BRIGHT}" if column == self._column else theme.MUTED
            name = f"{column + 1} {printable(ref)}"
            fits = cell_len(name) < self._cell_width  # else its number stands for it: the title has it whole
            names.append_text(self._cell(name if fits else str(column + 1), style))
        path = Text(f"  from {printable(self._base)} to", style=theme.MUTED)
        self._names.say(columns(path, names, width))
        entitle(self.files, f"{self._base} → {self._refs[self._column]}")

    def _cells(self, node: Node[SiblingRow]) -> Text:
        text = Text()
        for column in range(len(self._refs)):
            told, style = self._told(node, column)
            text.append_text(
                self._cell(told, f"{style} on {theme.BORDER}" if column == self._column else style)
            )
        return text

    def _told(self, node: Node[SiblingRow], column: int) -> tuple[str, str]:
        if node.item is None or node.is_folder:
            return "", theme.MUTED
        cell = node.item.cells[column]
        if cell is None:
            return "·", theme.FAINT
        sign, _ = MARKS[cell.kind]
        grown = f" {'+' if cell.grown > 0 else '-'}{size(abs(cell.grown))}" if cell.grown else ""
        told = f"{sign}{cell.change}{grown}"
        if len(told) >= self._cell_width:
            told = f"{sign}{cell.change}"
        return told, theme.PREFIXES[(cell.change - 1) % len(theme.PREFIXES)]

    def _cell(self, told: str, style: str) -> Text:
        text = Text(f" {told}", style=style)
        text.truncate(self._cell_width, overflow="ellipsis", pad=True)
        return text

    @property
    def _cell_width(self) -> int:
        room = int(self.files.scrollable_content_region.width * SHARE)
        return max(LEAST_CELL, min(MOST_CELL, room // max(1, len(self._refs))))

    # -- one file in all -------------------------------------------------------------------------------------

    def on_row_list_chosen(self) -> None:
        """Enter on a file opens the diff of the cell."""
        self.action_open()

    def action_open(self) -> None:
        """Open the diff of the column at the file."""
        node = self.files.current
        if node is not None and self._refs:
            self.app.push_screen(DiffScreen(self._base, self._refs[self._column], node.path))

    def look(self) -> None:
        """Show the changes of the file under the cursor, or that they are asked for."""
        node = self.files.current
        key = (self.round, node.key) if node else None
        if node is None or key == self.looked_at or self.comparing:
            return
        self.looked_at = key
        if self.settling is not None:
            self.settling.stop()
        row, change = node.item, self._changes.get(node.path)
        asking = row is not None and not node.is_folder and change is None
        if row is not None and asking:
            self.settling = self.set_timer(SETTLE_S, partial(self._ask, key, row))
        self.view.show(change or FilePatch(), [Text("reading…", style=theme.MUTED)] if asking else [])
        entitle(self.view, "all files" if node.path == ROOT else node.path, "")

    def _ask(self, key: object, row: SiblingRow) -> None:
        base, refs, client = self._base, self._refs, self.vertui.client
        groups: dict[int, list[int]] = {}
        for column, cell in enumerate(row.cells):
            if cell is not None:
                groups.setdefault(cell.change, []).append(column)
        paths, below = names_of(row.path)

        def work() -> FilePatch:
            told = []
            for number, members in groups.items():
                title = f"{number}: {', '.join(printable(refs[column]) for column in members)}"
                told.append((title, client.patch(base, refs[members[0]], path=paths, ignore=below)))
            return gathered(row, told)

        def arrived(change: FilePatch) -> None:
            if self.is_attached and key == self.looked_at:
                self._changes[row.path] = change
                self.view.show(change)
                self.colour(change, row.path)
                entitle(self.view, below=f"{counted(len(groups), 'different change')} in {len(refs)} states")

        self.vertui.ask(work, arrived, partial(self._unreadable, key))

    def _unreadable(self, key: object, error: VertuiError) -> None:
        if self.is_attached and key == self.looked_at:
            self.view.show(FilePatch(), [Text(printable(str(error)), style=theme.RED)])

    def scrolled(self) -> Iterable[Widget]:
        """The changes, while the rows have the focus."""
        return (self.view,)

    @property
    def files(self) -> MatrixList:
        """The rows."""
        return self._list

    @property
    def view(self) -> ChangeView:
        """What each did to the file under the cursor."""
        return self._view
