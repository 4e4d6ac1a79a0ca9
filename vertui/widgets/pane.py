"""A pane of output: the lines in view and no others are decoded, coloured and folded, as often as they are drawn."""

import time
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells
from rich.style import Style
from rich.text import Text
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from vertui import theme
from vertui.guest_text import LONGEST_REST
from vertui.plain import entitle
from vertui.text import printable
from vertui.widgets.lines import segments
from vertui.widgets.scrollback import REMARK, STDERR, Line
from vertui.widgets.sgr import styled
from vertui.widgets.watched import WatchedCommand

GUTTER = Text(" ", end="")
STDERR_GUTTER = Text("▎", style=theme.RED, end="")


class OutputPane(Widget, can_focus=True):
    """Shows what is watched of one branch. `words` are marked, `clocks` says when each line came."""

    class Entered(Message):
        """A double click."""

    def __init__(self, watched: WatchedCommand) -> None:
        super().__init__(classes="pane")
        self.watched = watched
        self.words = ""
        self.clocks = False
        self._rows: list[Text] | None = None  # in view; None once they may be others
        self._room = Size()
        self._base = Style()  # of all of it: to ask the stylesheet for each row costs a quarter of drawing

    def update(self) -> None:
        """Something came, or is looked at otherwise."""
        watched = self.watched
        entitle(
            self, Text.assemble((f"{printable(watched.branch)} ", f"bold {theme.BRIGHT}"), _mark(watched))
        )
        entitle(self, below=Text(self._state, style=theme.MUTED))
        self._rows = None
        self.refresh()

    def notify_style_update(self) -> None:
        """Textual's hook for another look."""
        super().notify_style_update()
        self._rows = None

    @property
    def text(self) -> str:
        """What is in view, plain."""
        return "\n".join(row.plain for row in self._rows_in_view())

    def on_click(self, event: Click) -> None:
        """A second click is as enter."""
        if event.chain == 2:
            self.post_message(self.Entered())

    # -- drawing ---------------------------------------------------------------------------------------------

    def render_lines(self, crop: Region) -> list[Strip]:
        """Look at the lines in view once a drawing, and only if this pane is what changed."""
        if self._rows is None or self._room != self.size:
            self._rows, self._room, self._base = self._rows_in_view(), self.size, self.rich_style
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """Draw one row."""
        width, style = self.size.width, self._base
        rows = self._rows or []
        if y >= len(rows):
            return Strip.blank(width, style)
        return Strip(segments(rows[y], self.app.console)).adjust_cell_length(width).apply_style(style)

    @property
    def _state(self) -> str:
        watched = self.watched
        held = f"held at {watched.held} of {watched.kept.end}  " if watched.held is not None else ""
        return f"{held}$ {watched.command}" if watched.command else held

    def _rows_in_view(self) -> list[Text]:
        width, height = self.size.width, self.size.height
        if width < 2 or height < 1:
            return []
        if not self.watched.command:
            return [Text(printable(self.watched.trouble), style=theme.FAINT, end="", no_wrap=True)]
        rows: list[Text] = []
        for line in self._lines_from_below(height):
            rows = self._folded(line, width) + rows
            if len(rows) >= height:
                break
        return rows[-height:]

    def _lines_from_below(self, height: int) -> Iterator[Line]:
        kept, held = self.watched.kept, self.watched.held
        if held is None:
            yield from reversed(kept.rests())
        last = kept.end if held is None else max(held, kept.start + 1)
        if held is not None and held - kept.start < height:  # the first lines there are fill the pane
            last = min(kept.start + height, kept.end)
        yield from reversed(kept.lines(last - height, last))

    def _folded(self, line: Line, width: int) -> list[Text]:
        text = self._dressed(line)
        room = width - 1
        parts = [text]
        if cell_len(text.plain) > room:
            at, places = 0, []
            for piece in chop_cells(text.plain, room)[:-1]:
                at += len(piece)
                places.append(at)
            parts = list(text.divide(places))
        gutter = STDERR_GUTTER if line.stream == STDERR else GUTTER
        return [gutter.copy().append_text(part) for part in parts]

    def _dressed(self, line: Line) -> Text:
        raw = line.data[-LONGEST_REST:].decode(errors="replace")
        text = Text(printable(raw), style=theme.MUTED) if line.stream == REMARK else styled(raw)
        if self.words:
            _mark_words(text, self.words)
        if self.clocks:
            text = Text(time.strftime("%H:%M:%S ", time.localtime(line.time)), theme.FAINT).append_text(text)
        text.end = ""
        return text


def _mark_words(text: Text, words: str) -> None:
    plain, words = text.plain.lower(), words.lower()
    at = plain.find(words)
    while at >= 0:
        text.stylize(f"{theme.GROUND} on {theme.GOLD}", at, at + len(words))
        at = plain.find(words, at + len(words))


def _mark(watched: WatchedCommand) -> tuple[str, str]:
    if watched.away:
        return "◌ not connected", theme.GOLD
    if watched.runs:
        return "●", theme.GREEN
    if watched.exit_code is None:
        return ("✗", theme.RED) if watched.command else ("", theme.FAINT)
    mark, colour = theme.exit_mark(watched.exit_code, watched.timed_out)
    return mark, colour if watched.exit_code else theme.MUTED
