"""One screen: its rows, its cursor, its margins, and what can be done to them.

Columns and rows count from 0. A cursor behind the last column has printed there, and wraps before it
prints again.
"""

from dataclasses import dataclass

from vertui.emulator.pen import PLAIN, blank
from vertui.emulator.rows import History, Row

TAB = 8


@dataclass(frozen=True)
class Saved:
    """What DECSC keeps."""

    x: int = 0
    y: int = 0
    pen: int = PLAIN
    origin: bool = False
    charsets: tuple[str, str] = ("B", "B")
    shifted: bool = False


class Screen:
    """Rows and a cursor. `changed` has the rows that look different since somebody last emptied it."""

    def __init__(self, rows: int, columns: int, history: History | None = None) -> None:
        self.columns = columns
        self.history = history
        self.rows = [Row(columns) for _ in range(rows)]
        self.x = self.y = 0
        self.pen = PLAIN
        self.top, self.bottom = 0, rows - 1
        self.origin = False
        self.inserting = False
        self.wrapping = True
        self.saved = Saved()
        self.tabs = set(range(0, columns, TAB))
        self.changed: set[int] = set()

    # -- printing ----------------------------------------------------------------------------------------------

    def print_narrow(self, text: str) -> None:
        """Print characters of one column each."""
        at = 0
        while at < len(text):
            if self.x >= self.columns:
                self._wrap()
            room = self.columns - self.x
            piece = text[at : at + room]
            if not self.wrapping and len(text) - at > room:  # all that is too much goes into the last column
                piece, at = piece[:-1] + text[-1], len(text)
            row = self.rows[self.y]
            if self.inserting:
                row.insert(self.x, len(piece), self.pen)
            row.put(self.x, piece, self.pen)
            self.changed.add(self.y)
            self.x += len(piece)
            at += len(piece)

    def print_wide(self, char: str) -> None:
        """Print a character of two columns."""
        if self.columns < 2:
            return self.print_narrow("\N{REPLACEMENT CHARACTER}")
        if self.x == self.columns - 1 and self.wrapping:
            self.rows[self.y].erase(self.x, self.columns, blank(self.pen))
            self.x = self.columns
        self._wrap()
        self.x = min(self.x, self.columns - 2)
        row = self.rows[self.y]
        if self.inserting:
            row.insert(self.x, 2, self.pen)
        row.put_wide(self.x, char, self.pen)
        self.changed.add(self.y)
        self.x += 2
        return None

    def print_mark(self, char: str) -> None:
        """Put a mark on the character before the cursor."""
        if self.x:
            self.rows[self.y].mark(self.x - 1, char)
            self.changed.add(self.y)

    def _wrap(self) -> None:
        if self.x < self.columns:
            return
        if self.wrapping:
            self.rows[self.y].wrapped = True
            self.x = 0
            self.line_feed()
        else:
            self.x = self.columns - 1

    # -- the cursor --------------------------------------------------------------------------------------------

    @property
    def column(self) -> int:
        """The column in which the cursor is seen."""
        return min(self.x, self.columns - 1)

    def go(self, y: int, x: int) -> None:
        """Put the cursor somewhere; with `origin` rows count from the upper margin."""
        first, last = (self.top, self.bottom) if self.origin else (0, len(self.rows) - 1)
        self.y = min(max(y + first, first), last)
        self.x = min(max(x, 0), self.columns - 1)

    def move(self, rows: int, columns: int) -> None:
        """Move the cursor; margins stop it if it was within them."""
        first = self.top if self.y >= self.top else 0
        last = self.bottom if self.y <= self.bottom else len(self.rows) - 1
        self.y = min(max(self.y + rows, first), last)
        self.x = min(max(self.column + columns, 0), self.columns - 1)

    def line_feed(self) -> None:
        """A row down, at the lower margin by scrolling."""
        self.x = self.column
        if self.y == self.bottom:
            self.scroll_up(1)
        elif self.y < len(self.rows) - 1:
            self.y += 1

    def reverse_line_feed(self) -> None:
        """A row up, at the upper margin by scrolling."""
        if self.y == self.top:
            self.scroll_down(1)
        elif self.y:
            self.y -= 1

    def tab(self, count: int) -> None:
        """To the next stops, or back to those before."""
        stops = sorted(self.tabs | {0, self.columns - 1}, reverse=count < 0)
        here = self.column
        ahead = [stop for stop in stops if (stop > here if count > 0 else stop < here)]
        if ahead:
            self.x = ahead[min(abs(count), len(ahead)) - 1]

    def margins(self, top: int, bottom: int) -> None:
        """Let these rows scroll, and no others."""
        bottom = min(bottom, len(self.rows) - 1)
        if 0 <= top < bottom:
            self.top, self.bottom = top, bottom
            self.go(0, 0)

    # -- erasing and moving what is there ----------------------------------------------------------------------

    def erase_rows(self, first: int, stop: int) -> None:
        """Blank whole rows."""
        for y in range(first, stop):
            self.rows[y] = Row(self.columns, blank(self.pen))
        self.changed.update(range(first, stop))

    def erase(self, start: int, stop: int) -> None:
        """Blank cells of the cursor's row."""
        self.x, row = self.column, self.rows[self.y]
        row.erase(start, min(stop, self.columns), blank(self.pen))
        if stop >= self.columns:
            row.wrapped = False
        self.changed.add(self.y)

    def insert(self, count: int) -> None:
        """Blanks at the cursor."""
        self.x = self.column
        self.rows[self.y].insert(self.x, count, blank(self.pen))
        self.changed.add(self.y)

    def delete(self, count: int) -> None:
        """Cells at the cursor away."""
        self.x = self.column
        self.rows[self.y].delete(self.x, count, blank(self.pen))
        self.changed.add(self.y)

    def insert_rows(self, count: int) -> None:
        """Blank rows at the cursor's, those below go down."""
        if self.top <= self.y <= self.bottom:
            self._down(self.y, count)
            self.x = 0

    def delete_rows(self, count: int) -> None:
        """Rows from the cursor's on away, those below come up."""
        if self.top <= self.y <= self.bottom:
            self._up(self.y, count, keep=False)
            self.x = 0

    def scroll_up(self, count: int) -> None:
        """What is between the margins goes up."""
        self._up(self.top, count, keep=self.top == 0)

    def scroll_down(self, count: int) -> None:
        """What is between the margins goes down."""
        self._down(self.top, count)

    def _up(self, top: int, count: int, keep: bool) -> None:
        for _ in range(min(count, self.bottom + 1 - top)):
            row = self.rows.pop(top)
            if keep and self.history is not None:
                self.history.push(row)
            self.rows.insert(self.bottom, Row(self.columns, blank(self.pen)))
        if len(self.changed) < len(self.rows):  # a flood has changed all already
            self.changed.update(range(top, self.bottom + 1))

    def _down(self, top: int, count: int) -> None:
        for _ in range(min(count, self.bottom + 1 - top)):
            del self.rows[self.bottom]
            self.rows.insert(top, Row(self.columns, blank(self.pen)))
        self.changed.update(range(top, self.bottom + 1))

    # -- its size ----------------------------------------------------------------------------------------------

    def resize(self, rows: int, columns: int) -> None:
        """Another size. Rows leave at the top, and come back there where there is a history: the cursor stays seen."""
        if columns != self.columns:
            for row in self.rows:
                row.resize(columns)
            self.tabs = {stop for stop in self.tabs if stop < columns}
            self.tabs.update(range(-(-self.columns // TAB) * TAB, columns, TAB))
            self.columns = columns
        while len(self.rows) > rows:
            if self.y < len(self.rows) - 1:
                del self.rows[-1]
                continue
            row = self.rows.pop(0)
            self.y -= 1
            if self.history is not None:
                self.history.push(row)
        while len(self.rows) < rows:
            if self.history:
                self.rows.insert(0, self.history.pop(columns))
                self.y += 1
            else:
                self.rows.append(Row(columns))
        self.top, self.bottom = 0, rows - 1
        self.x, self.y = min(self.x, columns), min(max(self.y, 0), rows - 1)
        self.changed = set(range(rows))
