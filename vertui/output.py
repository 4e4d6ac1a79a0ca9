"""Plain text for pipes and terminals: colour, tables that fit, and one-line reports.

Colour is used only where standard output is a terminal and NO_COLOR is not set; what a table must leave out to fit
a terminal it keeps in a pipe.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from unicodedata import category, east_asian_width

from core.codec import encode
from core.errors import VertuiError
from core.names import spelled
from vertui.text import MARKS, printable

COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36, "white": 37}
STYLES = COLOURS | {"bold": 1, "dim": 2}
GAP = "  "
ROOMY_COLUMN = 20  # what a long column keeps while others are still shown
LEFT_OUT = 3  # exit status: some of what was asked for is not in what came, and was named
LEFT_OUT_SHOWN = 10  # how many there are is said below them
LEAST_COLUMN = 6  # a column shortened further says nothing


@dataclass(frozen=True)
class Cell:
    """Text of one line and how it looks: names of COLOURS, `bold` or `dim`, separated by spaces."""

    text: str
    style: str = ""


Row = Sequence[Cell | str]


def colourful() -> bool:
    """May standard output carry escape sequences?"""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def styled(text: str, style: str, colour: bool | None = None) -> str:
    """`text` in `style` where colour is wanted."""
    if not style or not (colourful() if colour is None else colour):
        return text
    codes = ";".join(str(STYLES[word]) for word in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m"


def line_width() -> int | None:
    """Columns of the terminal, None where output is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def cells(text: str) -> int:
    """Terminal columns that `text` takes."""
    if text.isascii():
        return len(text)
    return sum(0 if category(char) in MARKS else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def clip(text: str, width: int) -> str:
    """`text` in at most `width` columns, ending in … where something is left out."""
    if cells(text) <= width:
        return text
    kept, used = "", 0
    for char in text:
        used += cells(char)
        if used > width - 1:
            break
        kept += char
    return kept + "…"


def table(
    header: Sequence[str], rows: Iterable[Row], width: int | None = None, expendable: Sequence[str] = ()
) -> list[str]:
    """Lines of a table with a dim header; columns empty in every row are left out.

    To fit `width`, long columns shrink a little, then the expendable ones go in turn, then the widest shrink.
    """
    body = [[_safe(cell if isinstance(cell, Cell) else Cell(cell)) for cell in row] for row in rows]
    shown = [index for index in range(len(header)) if any(row[index].text for row in body)]
    lines = [[Cell(title, "dim") for title in header], *body]
    widths = {index: max(cells(line[index].text) for line in lines) for index in shown}
    if width is not None:
        _shrink(widths, width, ROOMY_COLUMN)
        for title in expendable:
            if _taken(widths) > width:
                widths.pop(header.index(title), None)
        _shrink(widths, width, LEAST_COLUMN)
    return [_line([line[index] for index in widths], list(widths.values())) for line in lines]


def say_table(header: Sequence[str], rows: Iterable[Row], expendable: Sequence[str] = ()) -> None:
    """Print a table that fits the terminal."""
    for line in table(header, rows, line_width(), expendable):
        print(line)


def say_json(value: Any) -> None:
    """Print a model value as one JSON document."""
    print(json.dumps(encode(value), indent=2))


def warn(text: str) -> None:
    """One line on standard error, whatever is in `text`, as far as that can be written: there is nowhere else."""
    with suppress(OSError, VertuiError):
        print(f"vertui: {printable(text)}", file=sys.stderr, flush=True)


def warn_left_out(names: Sequence[bytes], after: str = "") -> None:
    """Name the first of some files that came to no copy here, then say how many they are, and what is `after` that."""
    for name in names[:LEFT_OUT_SHOWN]:
        warn(f"left out {spelled(name)}: a device, or a link that leads out")
    if names:
        warn(f"{len(names)} left out in all{after}")


def draw(text: str) -> None:
    """Text over the terminal's current line on standard error, as far as that can be written."""
    with suppress(OSError, VertuiError):
        print(text, end="", file=sys.stderr, flush=True)


def _safe(cell: Cell) -> Cell:
    return cell if cell.text.isascii() and cell.text.isprintable() else Cell(printable(cell.text), cell.style)


def _taken(widths: dict[int, int]) -> int:
    return sum(widths.values()) + len(GAP) * (len(widths) - 1)


def _shrink(widths: dict[int, int], width: int, least: int) -> None:
    """Take from the widest column, one cell at a time, until all fit or none is wider than `least`."""
    while _taken(widths) > width:
        widest = max(widths, key=lambda index: widths[index])
        if widths[widest] <= least:
            return
        widths[widest] -= 1


def _line(line: Sequence[Cell], widths: Sequence[int]) -> str:
    """One line; nothing trails the last text."""
    last = max((index for index, cell in enumerate(line) if cell.text), default=-1)
    parts = []
    for index, (cell, width) in enumerate(zip(line, widths, strict=True)):
        text = clip(cell.text, width)
        padding = "" if index >= last else " " * (width - cells(text))
        parts.append(styled(text, cell.style) + padding)
    return GAP.join(parts[: last + 1])
