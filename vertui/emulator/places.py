"""Places in what a terminal shows and has shown: what is selected, and what is found."""

from collections.abc import Iterator
from dataclasses import dataclass

from vertui.emulator.emulator import Emulator
from vertui.emulator.rows import Row

Place = tuple[int, int]  # a line's number, and a column


@dataclass(frozen=True)
class Extent:
    """From one place to another, whichever comes first; the last column is part of it."""

    anchor: Place
    head: Place

    def columns(self, line: int, width: int) -> tuple[int, int]:
        """The part of a line that is selected: from a column to before another."""
        first, last = sorted((self.anchor, self.head))
        if not first[0] <= line <= last[0]:
            return 0, 0
        return first[1] if line == first[0] else 0, last[1] + 1 if line == last[0] else width

    def text(self, emulator: Emulator) -> str:
        """What is selected; rows that one line of output was wrapped into are one line again."""
        first, last = sorted((self.anchor, self.head))
        parts: list[str] = []
        for number in range(max(first[0], emulator.first), min(last[0] + 1, emulator.stop)):
            row = emulator.line(number)
            start, stop = self.columns(number, len(row.chars))
            text = "".join(row.chars[start:stop])
            parts.append(text if row.wrapped else text.rstrip() + "\n")
        return "".join(parts).removesuffix("\n")


def word_at(emulator: Emulator, place: Place) -> Extent:
    """The word in a place: what stands between blanks."""
    line, column = place
    chars = emulator.line(line).chars
    start = stop = min(column, len(chars) - 1)
    while start > 0 and chars[start] != " " and chars[start - 1] != " ":
        start -= 1
    while stop < len(chars) - 1 and chars[stop] != " " and chars[stop + 1] != " ":
        stop += 1
    return Extent((line, start), (line, stop))


def line_at(emulator: Emulator, place: Place) -> Extent:
    """The whole line of a place."""
    return Extent((place[0], 0), (place[0], emulator.columns - 1))


def find(emulator: Emulator, words: str, start: int, step: int) -> int | None:
    """The next line with these words, from a line on, down or up. Small letters find capitals too."""
    small = words.islower()
    numbers = (
        range(start, emulator.stop)
        if step > 0
        else range(min(start, emulator.stop - 1), emulator.first - 1, -1)
    )
    for number in numbers:
        if number >= emulator.first:
            text = emulator.text(number)
            if words in (text.lower() if small else text):
                return number
    return None


def found_in(row: Row, words: str) -> Iterator[tuple[int, int]]:
    """The columns where words stand in a row: from one to before another."""
    text, small = "".join(row.chars), words.islower()
    if small and len(text.lower()) == len(text):
        text = text.lower()
    at = text.find(words)
    if at < 0:
        return
    columns = [column for column, char in enumerate(row.chars) for _ in char]
    columns.append(len(row.chars))
    while at >= 0:
        yield columns[at], columns[at + len(words)]
        at = text.find(words, at + len(words))
