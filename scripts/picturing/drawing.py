"""Screens as SVG that needs nothing from elsewhere: no font, no script."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from glyphs import HEIGHT, WIDTH, drawn, is_drawn
from rich.cells import cell_len
from rich.color import blend_rgb
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from rich.style import Style

FONT = "ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,'Liberation Mono',monospace"
SIZE, BASELINE = 14, 13.0
MARGIN = 14.0  # around the screen
CSS = (
    f"text{{font:{SIZE}px {FONT};white-space:pre}}.b{{font-weight:700}}.i{{font-style:italic}}"
    ".u{text-decoration:underline}rect{shape-rendering:crispEdges}"
)

Row = Sequence[Segment]


@dataclass(frozen=True)
class Look:
    """How a run of cells looks."""

    colour: str
    ground: str
    classes: str


@dataclass(frozen=True)
class Paper:
    """The colours that are meant where none are named."""

    text: ColorTriplet
    ground: ColorTriplet

    def look(self, style: Style | None) -> Look:
        """A style's."""
        style = style or Style()
        text = style.color.get_truecolor() if style.color and not style.color.is_default else self.text
        ground = (
            style.bgcolor.get_truecolor() if style.bgcolor and not style.bgcolor.is_default else self.ground
        )
        if style.reverse:
            text, ground = ground, text
        if style.dim:
            text = blend_rgb(text, ground, 0.5)
        marks = {"b": style.bold, "i": style.italic, "u": style.underline}
        return Look(text.hex, ground.hex, " ".join(mark for mark, on in marks.items() if on))


def row_of(segments: Row, paper: Paper) -> str:
    """A row, drawn from 0: grounds first, then what stands on them."""
    grounds, marks, x = list[str](), list[str](), 0.0
    looks = ((paper.look(segment.style), segment.text) for segment in segments if not segment.control)
    for look, group in groupby(looks, lambda one: one[0]):
        text = "".join(part for _, part in group)
        width = cell_len(text) * WIDTH
        if look.ground != paper.ground.hex:
            grounds.append(f'<rect x="{x:g}" width="{width:g}" height="{HEIGHT:g}" fill="{look.ground}"/>')
        marks += _marks(text, look, x)
        x = round(x + width, 2)
    return "".join(grounds + marks)


def _marks(text: str, look: Look, x: float) -> Iterator[str]:
    for kind, chars in groupby(
        text, lambda char: "drawn" if is_drawn(char) else "space" if char == " " else "text"
    ):
        part = "".join(chars)
        if kind == "drawn":
            for at, char in enumerate(part):
                yield drawn(char, look.colour, round(x + at * WIDTH, 2))
        elif kind == "text":
            classes = f' class="{look.classes}"' if look.classes else ""
            width = cell_len(part) * WIDTH
            yield (
                f'<text x="{x:g}" y="{BASELINE:g}" textLength="{width:g}"'
                f'{classes} fill="{look.colour}">{escape(part, quote=False)}</text>'
            )
        x = round(x + cell_len(part) * WIDTH, 2)


def still(rows: Sequence[Row], columns: int, paper: Paper, title: str) -> str:
    """One screen."""
    inside = "".join(
        f'<g transform="translate(0 {at * HEIGHT:g})">{drawn_row}</g>'
        for at, drawn_row in enumerate(row_of(row, paper) for row in rows)
        if drawn_row
    )
    return framed(inside, "", len(rows), columns, paper, title)


def framed(inside: str, css: str, rows: int, columns: int, paper: Paper, title: str) -> str:
    """A document with a margin around the screen."""
    width, height = columns * WIDTH + 2 * MARGIN, rows * HEIGHT + 2 * MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}"'
        f' height="{height:g}" role="img"><title>{escape(title)}</title><style>{CSS}{css}</style>'
        f'<rect width="{width:g}" height="{height:g}" rx="8" shape-rendering="auto" fill="{paper.ground.hex}"/>'
        f'<g transform="translate({MARGIN:g} {MARGIN:g})">{inside}</g></svg>\n'
    )


def texts(rows: Iterable[Row]) -> str:
    """What is to be read on a screen."""
    return "\n".join("".join(segment.text for segment in row) for row in rows)
