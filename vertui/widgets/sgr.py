"""Colours of a guest's output: of all that a terminal understands only SGR, and of that only how letters look.

A guest's sixteen colours are those of the user's theme. What blinks does not, and what hides its letters shows them.
A line begins without style, whatever the line before it left on: lines are looked at one by one, and in any order.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from rich.color import Color
from rich.style import Style
from rich.text import Text

from vertui import theme
from vertui.guest_text import (
    ESCAPE,
    LONGEST_LINE,
    LONGEST_RAW,
    LONGEST_REST,
    clean,
    untabbed,
    visible,
)

SGR = re.compile(r"\x1b\[([0-9;:]*)m")
MOST_SEQUENCES = 500  # of one line: of one with more the end is shown, without colours
MOST_NUMBERS = 32  # of one sequence
REMEMBERED = 1024  # styles: as many as a colourful program uses
NORMAL, BRIGHT = 8, 16  # colours of a terminal, and with those that are bright
PALETTE, RGB = 5, 2  # what may follow 38 and 48
NOTHING = Style()
ON = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse", 9: "strike", 21: "underline"}
OFF = {22: "not bold not dim", 23: "not italic", 24: "not underline", 27: "not reverse", 29: "not strike"}


def styled(line: str) -> Text:
    """One line of a guest's output as `clean` makes it, in its colours."""
    sequences = line.count("\x1b")
    if not sequences or sequences > MOST_SEQUENCES:
        plain = clean(line[-LONGEST_LINE:] if sequences else line)
        return Text(plain, style=theme.TEXT, no_wrap=True, end="")
    text, column = Text(style=theme.TEXT, no_wrap=True, end=""), 0
    for piece, style in _last_written(list(_pieces(line[-LONGEST_REST:]))):
        piece = untabbed(piece, column)[: max(0, LONGEST_RAW - column)]
        column += len(piece)
        text.append(visible(piece, first=not text), None if style == NOTHING else style)
    return text[:LONGEST_LINE] if len(text) > LONGEST_LINE else text


def _pieces(line: str) -> Iterator[tuple[str, Style]]:
    """What stands between the escape sequences, in the style it has there."""
    at, style = 0, NOTHING
    for found in ESCAPE.finditer(line):
        if found.start() > at:
            yield line[at : found.start()], style
        at = found.end()
        if sequence := SGR.fullmatch(found[0]):
            style = _turned(style, sequence[1])
    if at < len(line):
        yield line[at:], style


def _last_written(pieces: list[tuple[str, Style]]) -> list[tuple[str, Style]]:
    """What is behind the last carriage return, those at the line's end not counted."""
    while pieces and not (piece := pieces[-1][0].rstrip("\r")):
        pieces.pop()
    if pieces:
        pieces[-1] = (piece, pieces[-1][1])
    for index in range(len(pieces) - 1, -1, -1):
        _, returned, after = pieces[index][0].rpartition("\r")
        if returned:
            return [(after, pieces[index][1]), *pieces[index + 1 :]]
    return pieces


@lru_cache(REMEMBERED)
def _turned(style: Style, told: str) -> Style:
    """A style after one sequence."""
    numbers = [int(part[-9:] or 0) for part in told.replace(":", ";").split(";")[:MOST_NUMBERS]]
    while numbers:
        number = numbers.pop(0)
        if number == 0:
            style = NOTHING
        elif number in (38, 48):
            style += _chosen(number == 48, numbers)
        elif number in (39, 49):
            style = _without_colour(style, background=number == 49)
        else:
            style += _simple(number)
    return style


def _simple(number: int) -> Style:
    """What one number alone adds; nothing for one that is none of ours."""
    if told := ON.get(number) or OFF.get(number):
        return Style.parse(told)
    for first, background, bright in (
        (30, False, 0),
        (40, True, 0),
        (90, False, NORMAL),
        (100, True, NORMAL),
    ):
        if first <= number < first + NORMAL:
            return _coloured(Color.from_ansi(number - first + bright), background)
    return NOTHING


def _chosen(background: bool, numbers: list[int]) -> Style:
    """A colour of the 256 or of all, taken off the numbers that follow."""
    kind = numbers.pop(0) if numbers else 0
    if kind == PALETTE and numbers:
        return _coloured(Color.from_ansi(min(numbers.pop(0), 255)), background)
    if kind == RGB and len(numbers) >= 3:
        red, green, blue = (min(numbers.pop(0), 255) for _ in range(3))
        return _coloured(Color.from_rgb(red, green, blue), background)
    return NOTHING


def _coloured(color: Color, background: bool) -> Style:
    return Style.from_color(bgcolor=color) if background else Style.from_color(color)


def _without_colour(style: Style, background: bool) -> Style:
    """The same with the terminal's own colour there."""
    kept = Style.from_color(style.color if background else None, None if background else style.bgcolor)
    return style.without_color + kept
