"""Cells as Textual draws them: pens become styles, rows become strips."""

from collections.abc import Sequence
from functools import lru_cache

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from vertui import theme
from vertui.emulator import pen as pens

LEVELS = (0, 95, 135, 175, 215, 255)  # of the 6 × 6 × 6 colours behind the first 16
CUBE, GREYS = 16, 232
HUES = (theme.RED, theme.GREEN, theme.GOLD, theme.BLUE, theme.VIOLET, theme.TEAL)
FIRST = (theme.BLACK, *HUES, theme.TEXT, theme.FAINT, *map(theme.LIGHTER.__getitem__, HUES), theme.BRIGHT)
"""The 16 that have names, in the shades of the theme."""


@lru_cache(8192)
def style_of(pen: int, swapped: bool = False) -> Style:
    """How a pen looks; `swapped` where the whole screen is reversed."""
    text = _colour(pens.foreground(pen), theme.TEXT)
    ground = _colour(pens.background(pen), theme.GROUND)
    if bool(pen & pens.REVERSE) is not swapped:
        text, ground = ground, text
    if pen & pens.CONCEALED:
        text = ground
    return Style(
        color=text,
        bgcolor=ground,
        bold=bool(pen & pens.BOLD) or None,
        dim=bool(pen & pens.DIM) or None,
        italic=bool(pen & pens.ITALIC) or None,
        underline=bool(pen & pens.UNDERLINE) or None,
        strike=bool(pen & pens.STRUCK) or None,
        overline=bool(pen & pens.OVERLINED) or None,
    )  # blinking is left out: nothing here moves by itself


def runs(row_pens: Sequence[int]) -> int:
    """How many pieces a row is drawn in: what it costs."""
    return 1 + sum(map(int.__ne__, row_pens, row_pens[1:]))


def strip_of(chars: Sequence[str], row_pens: Sequence[int], swapped: bool = False) -> Strip:
    """A row as a strip. A character of two columns, or with marks, is a piece of its own."""
    segments, start, columns = list[Segment](), 0, len(chars)
    plain = all(map(str.isascii, chars))
    while start < columns:
        pen, stop = row_pens[start], start + 1
        while stop < columns and row_pens[stop] == pen:
            stop += 1
        style = style_of(pen, swapped)
        if plain:
            segments.append(Segment("".join(chars[start:stop]), style))
        else:
            segments.extend(Segment(text, style) for text in _pieces(chars[start:stop]))
        start = stop
    return Strip(segments, columns)


def _pieces(chars: Sequence[str]) -> list[str]:
    pieces, simple = list[str](), ""
    for at, char in enumerate(chars):
        if len(char) == 1 and not (at + 1 < len(chars) and not chars[at + 1]):
            simple += char
        elif char:
            pieces += [simple, char] if simple else [char]
            simple = ""
    return [*pieces, simple] if simple else pieces


def _colour(colour: int, default: str) -> Color:
    value = colour & pens.VALUE
    if not colour:
        return _parsed(default)
    if colour & pens.DIRECT:
        return Color.from_rgb(value >> 16, value >> 8 & 255, value & 255)
    if value < CUBE:
        return _parsed(FIRST[value])
    if value >= GREYS:
        grey = 8 + 10 * (value - GREYS)
        return Color.from_rgb(grey, grey, grey)
    value -= CUBE
    return Color.from_rgb(LEVELS[value // 36], LEVELS[value // 6 % 6], LEVELS[value % 6])


@lru_cache(64)
def _parsed(colour: str) -> Color:
    return Color.parse(colour)
