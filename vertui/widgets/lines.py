"""Lines of text to look at: scrolls, may follow its end, never takes the focus unless asked."""

from collections.abc import Iterable
from typing import ClassVar

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.scroll_view import ScrollView
from textual.strip import Strip

from vertui.widgets.scrolling import lengthen

MOST_LINES = 5000  # kept; older ones go


def segments(text: Text, console: Console) -> list[Segment]:
    """One row as segments. `Text.render` forgets the text's own style when there is no span."""
    if not text.spans:
        return [Segment(text.plain, console.get_style(text.style))]
    return list(text.render(console))


class LineView(ScrollView, can_focus=False):
    """Shows lines, folding those too long for its width. Draws only what is visible.

    Where it is let have the focus, the keys of a list scroll it, by way of its screen.
    """

    DEFAULT_CSS = "LineView { overflow-x: hidden; scrollbar-size-vertical: 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "screen.scroll_rows(1)", show=False),
        Binding("k,up", "screen.scroll_rows(-1)", show=False),
        Binding("ctrl+d,pagedown", "screen.scroll_pages(1)", show=False),
        Binding("ctrl+u,pageup", "screen.scroll_pages(-1)", show=False),
        Binding("g,home", "screen.scroll_edge(0)", show=False),
        Binding("G,end", "screen.scroll_edge(1)", show=False),
    ]

    def __init__(self, *, follow: bool = False, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._follow = follow
        self._lines: list[Text] = []
        self._rows: list[Text] = []
        self._rest: list[Text] = []
        self._style: Style | None = None  # of all of it; asking the stylesheet for every row takes long

    def notify_style_update(self) -> None:
        """Textual's hook for another look."""
        super().notify_style_update()
        self._style = None

    def show(self, lines: Iterable[Text]) -> None:
        """Show these lines instead, keeping the place."""
        new = list(lines)[:MOST_LINES]
        if (
            self._rest
            or new != self._lines
            or [line.style for line in new] != [line.style for line in self._lines]
        ):
            self._lines, self._rest = new, []
            self._fold_all()

    def append(self, lines: Iterable[Text], rest: Text | None = None) -> None:
        """Add lines, then the unfinished one, which the next call replaces."""
        at_end = self._at_end
        new = list(lines)
        self._lines += new
        if len(self._lines) > MOST_LINES:
            del self._lines[:-MOST_LINES]
        self._rows += [row for line in new for row in self._fold(line)]
        del self._rows[: -2 * MOST_LINES]
        self._rest = self._fold(rest) if rest else []
        self._measure()
        if at_end:
            self._go_to_end()

    def clear(self) -> None:
        """Show nothing."""
        self.show(())
        self.scroll_home(animate=False, immediate=True)

    @property
    def text(self) -> str:
        """What is shown, plain."""
        return "\n".join(row.plain for row in (*self._rows, *self._rest))

    def render_line(self, y: int) -> Strip:
        """Draw one visible row."""
        index, width = y + self.scroll_offset.y, self.size.width
        if self._style is None:
            self._style = self.rich_style
        style = self._style
        row = self._row(index)
        if row is None:
            return Strip.blank(width, style)
        return Strip(segments(row, self.app.console)).adjust_cell_length(width).apply_style(style)

    def on_resize(self) -> None:
        """Fold anew to the new width."""
        at_end = self._at_end
        self._fold_all()
        if at_end:
            self._go_to_end()

    @property
    def _at_end(self) -> bool:
        """Is the end in view, and to stay so?"""
        return self._follow and self.scroll_offset.y >= self.max_scroll_y - 1

    def _go_to_end(self) -> None:
        """By force: the scrollbar that new lines bring is not there yet, and without one nothing scrolls."""
        self.scroll_end(animate=False, immediate=True, force=True, x_axis=False)

    def _row(self, index: int) -> Text | None:
        if index < len(self._rows):
            return self._rows[index]
        index -= len(self._rows)
        return self._rest[index] if index < len(self._rest) else None

    def _fold(self, line: Text) -> list[Text]:
        width = self._fold_width
        line.end = ""
        if width < 1 or cell_len(line.plain) <= width:
            return [line]
        rows = list(line.wrap(self.app.console, width, overflow="fold", no_wrap=False))
        for row in rows:
            row.end = ""
        return rows

    def _fold_all(self) -> None:
        self._rows = [row for line in self._lines for row in self._fold(line)]
        self._measure()

    @property
    def _fold_width(self) -> int:
        """The content's width less the scrollbar that may come: text must not fold anew when it does."""
        return self.container_size.width - 1 if self.container_size.width else 0

    def _measure(self) -> None:
        lengthen(self, len(self._rows) + len(self._rest), self.size.width)
        self.refresh()
