"""A file's change, unified or side by side. Rows are made when they are seen, whatever the length of the change."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from vertui import theme
from vertui.compare.change import NOWHERE, FilePatch, LinePart
from vertui.compare.rows import cuts, ends_of, index_of
from vertui.widgets.change_lines import WHOLE, ChangeLines
from vertui.widgets.lines import segments
from vertui.widgets.scrolling import lengthen

MOST_KEPT = 1000  # rows drawn: some screens of them
AT_ONCE = 3000  # lines that are folded on the loop: it takes some milliseconds
SIDEWAYS = 8
SIDES = (0, 1)


class ChangeView(ScrollView, can_focus=True):
    """Shows a change below some lines on it. `side_by_side`, `wrapped` and `blank` are how; `blank` shows changes of
    white space alone as if they were none.
    """

    DEFAULT_CSS = "ChangeView { overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "rows(1)", show=False),
        Binding("k,up", "rows(-1)", show=False),
        Binding("ctrl+d,pagedown", "pages(1)", show=False),
        Binding("ctrl+u,pageup", "pages(-1)", show=False),
        Binding("g,home", "edge(0)", show=False),
        Binding("G,end", "edge(1)", show=False),
        Binding("h,left", "sideways(-1)", show=False),
        Binding("l,right", "sideways(1)", show=False),
    ]

    class Stepped(Message):
        """It shows another place, or shows it in another way."""

    class Folded(Message):
        """Where the rows of a change end."""

        def __init__(self, change: FilePatch, rooms: list[int], ends: array[int]) -> None:
            super().__init__()
            self.change, self.rooms, self.ends = change, rooms, ends

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.side_by_side = self.wrapped = False
        self._lines = ChangeLines(FilePatch(), blank=False, sought="")
        self.found: list[int] = []  # lines with what is searched for
        self.block = NOWHERE  # the one that was stepped to
        self._head: Sequence[Text] = ()
        self._style: Style | None = None
        self._aside = 0  # cells to the left of what is in view
        self._gone: tuple[int, int] | None = None  # a row that was scrolled to, and for which line
        self._ends: array[int] | None = None  # of the rows of each item, while it is wrapped
        self._folded: tuple[FilePatch, list[int]] | None = None  # what these are of
        self._drawn: dict[int, Strip] = {}

    # -- what is shown ---------------------------------------------------------------------------------------

    def show(self, change: FilePatch, head: Sequence[Text] = ()) -> None:
        """Show this change from its beginning."""
        self._lines, self._head = ChangeLines(change, self.blank, self._lines.sought), head
        self.found = self._lines.find()
        self.block, self._aside, self._gone = NOWHERE, 0, None
        self._shape()
        self.scroll_to(y=0, animate=False, immediate=True, force=True)

    @property
    def change(self) -> FilePatch:
        """What is shown."""
        return self._lines.change

    @property
    def blank(self) -> bool:
        """Are changes of white space shown as none?"""
        return self._lines.blank

    def draw_anew(self) -> None:
        """The change has other colours."""
        self._lines.forget()
        self._drawn.clear()
        self.refresh()

    def show_as(
        self, *, side_by_side: bool | None = None, wrapped: bool | None = None, blank: bool | None = None
    ) -> None:
        """Show it in another way, at the same place."""
        line = self._here
        if side_by_side is not None:
            self.side_by_side = side_by_side
        if wrapped is not None:
            self.wrapped = wrapped
        if blank is not None:
            self._lines.blank = blank
        self._aside = 0
        self._shape()
        if line != NOWHERE:
            self._go(line)
        self.post_message(self.Stepped())

    def step(self, by: int) -> bool:
        """Go to the next block or the one before; False where there is none. Those of white space may be none."""
        change, here = self.change, self._here
        at = change.block_from(here if self._is_there else here - (by > 0), by)
        while 0 <= at < len(change.blocks) and self.blank and self._lines.is_blank(at):
            at += by
        if not 0 <= at < len(change.blocks):
            return False
        self.block = at
        self._go(change.blocks[at].first)
        self.post_message(self.Stepped())
        return True

    def search(self, text: str) -> None:
        """Mark what is searched for, in small letters for both, and go to the first of it below what is in view."""
        self._lines.sought = text
        self.found = self._lines.find()
        self.draw_anew()
        if self.found:
            self._go_found(max(0, self._here), 1)

    def step_found(self, by: int) -> None:
        """Go to the next line with what is searched for, or the one before, around the end."""
        if self.found:
            self._go_found(self._here + by, by)

    @property
    def text(self) -> str:
        """What is in view, plain."""
        rows = range(self.scroll_offset.y, self.scroll_offset.y + self.size.height)
        return "\n".join(self._strip(row).text.rstrip() for row in rows)

    # -- keys ------------------------------------------------------------------------------------------------

    def action_rows(self, by: int) -> None:
        """Scroll by rows."""
        self._scroll(self.scroll_offset.y + by)

    def action_pages(self, by: int) -> None:
        """Scroll by half a screen."""
        self._scroll(self.scroll_offset.y + by * max(1, self.size.height // 2))

    def action_edge(self, last: int) -> None:
        """Go to the first row or the last."""
        self._scroll(self.max_scroll_y if last else 0)

    def action_sideways(self, by: int) -> None:
        """Show what is cut at the right, or come back."""
        if not self.wrapped:
            self._aside = max(0, self._aside + by * SIDEWAYS)
            self._drawn.clear()
            self.refresh()

    def notify_style_update(self) -> None:
        """Textual's hook for another look."""
        super().notify_style_update()
        self._style = None
        self._drawn.clear()
        self._drawn.clear()

    @property
    def _base(self) -> Style:
        """Of all of it; asking the stylesheet for every row costs more than the rest of the drawing."""
        if self._style is None:
            self._style = self.rich_style
        return self._style

    def on_resize(self) -> None:
        """Another width has other rows."""
        self._shape()

    # -- rows ------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """Draw one visible row."""
        return self._strip(y + self.scroll_offset.y).adjust_cell_length(self.size.width, self._base)

    def _strip(self, row: int) -> Strip:
        if (strip := self._drawn.get(row)) is None:
            if len(self._drawn) > MOST_KEPT:
                self._drawn.clear()
            strip = self._drawn[row] = self._draw(row)
        return strip

    def _draw(self, row: int) -> Strip:
        if row >= self._rows:
            return Strip.blank(self.size.width, self._base)
        if row < len(self._head):
            return self._strip_of(self._head[row], self.size.width)
        item, fold = self._item(row)
        lines = self._lines_of(item)
        if len(lines) == 1:
            return self._half(lines[0], fold, self.size.width, SIDES)
        left = (self.size.width - 1) // 2
        bar = self._strip_of(Text("│", style=theme.BORDER), 1)
        return Strip.join(
            [
                self._half(lines[0], fold, left, (0,)),
                bar,
                self._half(lines[1], fold, self.size.width - left - 1, (1,)),
            ]
        )

    def _half(self, line: int, fold: int, width: int, sides: Sequence[int]) -> Strip:
        """One side of a row, or all of it."""
        if line == NOWHERE:
            return self._strip_of(Text("╱" * width, style=theme.BORDER), width)
        if self.change.part(line) in WHOLE:
            return self._strip_of(self._lines.text(line) if not fold else Text(), width)
        room = width - self._lines.gutter_width(sides)
        gutter = Text(" " * (width - room)) if fold else self._lines.gutter(line, sides)
        text = self._lines.text(line)
        if self.wrapped:
            places = [*cuts(text.plain, room), len(text)]
            text = text[places[fold] : places[fold + 1]] if fold + 1 < len(places) else Text()
        strip = Strip(segments(text, self.app.console))
        strip = strip if self.wrapped else strip.crop(self._aside, self._aside + room)
        whole = Strip.join([Strip(segments(gutter, self.app.console)), strip])
        return whole.adjust_cell_length(width).apply_style(self._base + self._lines.ground(line))

    def _strip_of(self, text: Text, width: int) -> Strip:
        text.end = ""
        return Strip(segments(text, self.app.console)).adjust_cell_length(width).apply_style(self._base)

    # -- where things are ------------------------------------------------------------------------------------

    @property
    def _items(self) -> int:
        return len(self.change.left) if self.side_by_side else len(self.change)

    def _lines_of(self, item: int) -> tuple[int, ...]:
        """The lines of an item: one, or those of the two sides."""
        change = self.change
        if not 0 <= item < self._items:
            return (NOWHERE,)
        if not self.side_by_side:
            return (item,)
        left, right = change.left[item], change.right[item]
        return (left,) if left == right and change.part(left) in WHOLE else (left, right)

    def _item(self, row: int) -> tuple[int, int]:
        """The item that a row is of, and which of its rows."""
        row -= len(self._head)
        if self._ends is None or row < 0:
            return row, 0
        item = bisect_right(self._ends, row)
        return item, row - (self._ends[item - 1] if item else 0)

    def _row_of(self, line: int) -> int:
        """The first row of a line."""
        item = line
        if self.side_by_side:
            side = self.change.right if self.change.part(line) is LinePart.ADDED else self.change.left
            item = index_of(side, line)
        return len(self._head) + (item if self._ends is None or not item else self._ends[item - 1])

    @property
    def _is_there(self) -> bool:
        """Is it still where it went to?"""
        return self._gone is not None and self._gone[0] == self.scroll_offset.y

    @property
    def _here(self) -> int:
        """The line that it went to, or the first in view when somebody has scrolled since."""
        if self._gone is not None and self._is_there:
            return self._gone[1]
        item = self._item(self.scroll_offset.y)[0]
        return max(self._lines_of(item)) if item >= 0 else NOWHERE

    @property
    def _rows(self) -> int:
        return len(self._head) + (
            self._items if self._ends is None else (self._ends[-1] if self._ends else 0)
        )

    def _shape(self) -> None:
        """Measure it anew."""
        if not self.wrapped or not self.size.width:
            self._ends = self._folded = None
        elif self._folded != (asked := (self.change, self._rooms)):
            self._ends, self._folded = None, asked
            self._fold(*asked)
        self.draw_anew()
        lengthen(self, self._rows, self.size.width)

    @property
    def _rooms(self) -> list[int]:
        """The cells that each column has for text."""
        if not self.side_by_side:
            return [self.size.width - self._lines.gutter_width(SIDES)]
        left = (self.size.width - 1) // 2
        return [width - self._lines.gutter_width((0,)) for width in (left, self.size.width - left - 1)]

    def _fold(self, change: FilePatch, rooms: list[int]) -> None:
        """Find where rows end; of many lines in a thread, and until then each is one row."""
        if len(change) <= AT_ONCE:
            self._ends = ends_of(change, rooms)
            return

        def work() -> None:
            self.post_message(self.Folded(change, rooms, ends_of(change, rooms)))

        self.run_worker(work, thread=True, group="fold")

    def on_change_view_folded(self, message: Folded) -> None:
        """Take it, if it is still so that it is shown."""
        if (
            self._folded is not None
            and self._folded[0] is message.change
            and self._folded[1] == message.rooms
        ):
            line = self._here
            self._ends = message.ends
            self.draw_anew()
            lengthen(self, self._rows, self.size.width)
            if line != NOWHERE:
                self._go(line)

    def _go_found(self, line: int, by: int) -> None:
        at = bisect_right(self.found, line - 1) if by > 0 else bisect_right(self.found, line) - 1
        self._go(self.found[at % len(self.found)])
        self.post_message(self.Stepped())

    def _go(self, line: int) -> None:
        self._scroll(self._row_of(line) - min(3, self.size.height // 4))
        self._gone = (self.scroll_offset.y, line)

    def _scroll(self, row: int) -> None:
        """By force: a scrollbar that is not drawn yet stops nothing."""
        self.scroll_to(y=max(0, row), animate=False, immediate=True, force=True)
