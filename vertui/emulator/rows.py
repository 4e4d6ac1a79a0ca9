"""Rows of cells, and the history of those that left the screen."""

from array import array
from collections import deque
from typing import NamedTuple

from vertui.emulator.widths import shown

MOST_LINES = 10_000  # of history
MOST_CELLS = (
    2_000_000  # of history: at 12 bytes for the text and 8 for the pen, no output makes it more than 40 MB
)
MOST_MARKS = 2  # on one character; what stacks more is no script


class Row:
    """One row: a text and a pen for each cell. `wrapped`: what was printed goes on in the next row."""

    __slots__ = ("chars", "pens", "wrapped")

    def __init__(self, columns: int, pen: int = 0) -> None:
        self.chars = [" "] * columns
        self.pens = [pen] * columns
        self.wrapped = False

    def part(self, at: int) -> None:
        """Let no wide character stand on both sides of a column."""
        if 0 < at < len(self.chars) and not self.chars[at]:
            self.chars[at - 1] = self.chars[at] = " "

    def put(self, at: int, text: str, pen: int) -> None:
        """Write characters of one column each, which must fit."""
        stop = at + len(text)
        self.part(at)
        self.part(stop)
        self.chars[at:stop] = text
        self.pens[at:stop] = [pen] * len(text)

    def put_wide(self, at: int, char: str, pen: int) -> None:
        """Write a character of two columns."""
        self.put(at, "  ", pen)
        self.chars[at], self.chars[at + 1] = char, ""

    def mark(self, at: int, char: str) -> None:
        """Put a combining mark onto the character in a column."""
        at -= not self.chars[at] and at > 0
        if len(self.chars[at]) <= MOST_MARKS:
            self.chars[at] += char

    def erase(self, start: int, stop: int, pen: int) -> None:
        """Blank the cells from a column up to another."""
        if start < stop:
            self.put(start, " " * (stop - start), pen)

    def insert(self, at: int, count: int, pen: int) -> None:
        """Push cells to the right, over the edge."""
        columns, count = len(self.chars), min(count, len(self.chars) - at)
        self.part(at)
        self.part(columns - count)
        self.chars[at:] = [" "] * count + self.chars[at : columns - count]
        self.pens[at:] = [pen] * count + self.pens[at : columns - count]

    def delete(self, at: int, count: int, pen: int) -> None:
        """Pull cells from the right."""
        count = min(count, len(self.chars) - at)
        self.part(at)
        self.part(at + count)
        self.chars[at:] = self.chars[at + count :] + [" "] * count
        self.pens[at:] = self.pens[at + count :] + [pen] * count

    def resize(self, columns: int) -> None:
        """Cut it, or fill it up."""
        more = columns - len(self.chars)
        if more < 0:
            self.part(columns)
            del self.chars[columns:], self.pens[columns:]
        else:
            self.chars += [" "] * more
            self.pens += [0] * more

    @property
    def text(self) -> str:
        """What it says, without blanks at its end unless it goes on."""
        text = "".join(self.chars)
        return text if self.wrapped else text.rstrip(" ")


class PastRow(NamedTuple):
    """A row of history: its text, its pens unless all are plain, whether it goes on."""

    text: str
    pens: "array[int] | None"
    wrapped: bool

    @property
    def said(self) -> str:
        """What it says, without blanks at its end unless it goes on."""
        return self.text if self.wrapped else self.text.rstrip(" ")

    @property
    def cells(self) -> int:
        """What it takes of the history's room."""
        return max(len(self.text), len(self.pens) if self.pens else 0, 1)

    def row(self, columns: int) -> Row:
        """The row as it was, cut or filled up to as many columns."""
        row = Row(0)
        if self.text.isascii():
            row.chars = list(self.text)
        else:
            for char in self.text:
                width = shown(char)[1]
                if width == 0 and row.chars:
                    row.mark(len(row.chars) - 1, char)
                else:
                    row.chars += [char, ""][:width]
        row.pens = list(self.pens or ())[: len(row.chars)]
        row.pens += [0] * (len(row.chars) - len(row.pens))
        row.resize(columns)
        row.wrapped = self.wrapped
        return row


class History:
    """The newest rows that left the screen; older ones are dropped."""

    def __init__(self) -> None:
        self._rows: deque[PastRow] = deque()
        self._cells = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def total(self) -> int:
        """The number of the first line that is on the screen."""
        return self.dropped + len(self._rows)

    def push(self, row: Row) -> None:
        """Keep a row."""
        text = "".join(row.chars)
        if row.pens.count(0) < len(row.pens):
            kept = PastRow(text, array("Q", row.pens), row.wrapped)
            self._cells += kept.cells
        else:
            kept = PastRow(text if row.wrapped else text.rstrip(" "), None, row.wrapped)
            self._cells += len(kept.text) or 1
        self._rows.append(kept)
        while len(self._rows) > MOST_LINES or self._cells > MOST_CELLS:
            self._cells -= self._rows.popleft().cells
            self.dropped += 1

    def pop(self, columns: int) -> Row:
        """Take the newest row back."""
        kept = self._rows.pop()
        self._cells -= kept.cells
        return kept.row(columns)

    def line(self, number: int) -> PastRow:
        """A line by its number, which must be kept."""
        return self._rows[number - self.dropped]

    def clear(self) -> None:
        """Drop all."""
        self.dropped += len(self._rows)
        self._rows.clear()
        self._cells = 0
