"""A film, as SVG that moves: each row is a strip of all that it ever shows, pulled through by CSS."""

from dataclasses import dataclass, field

from drawing import Paper, Row, framed, row_of
from glyphs import HEIGHT, WIDTH

LAST_S = 3.0  # the last screen stays
LONGEST_S = 1.6  # for which nothing changes
PITCH = HEIGHT + 4  # of a strip: neighbours shine through at the edges of what is shown


@dataclass
class Film:
    """Screens of one size, at seconds that begin at 0."""

    columns: int
    rows: int
    paper: Paper
    frames: list[tuple[float, list[str]]] = field(default_factory=list)
    waited_s: float = 0.0  # since the newest of them

    def add(self, after_s: float, rows: list[Row]) -> None:
        """A screen so long after the one before; none where nothing has changed, but the time goes on."""
        drawn = [row_of(row, self.paper) for row in rows[: self.rows]]
        self.waited_s = min(LONGEST_S, self.waited_s + after_s)
        if self.frames and self.frames[-1][1] == drawn:
            return
        at = self.frames[-1][0] + self.waited_s if self.frames else 0.0
        self.frames.append((at, drawn))
        self.waited_s = 0.0

    @property
    def length_s(self) -> float:
        """Of all of it."""
        return self.frames[-1][0] + LAST_S if self.frames else 0.0

    def svg(self, title: str) -> str:
        """All of it, for ever again."""
        css, inside = list[str](), list[str]()
        for at in range(self.rows):
            strip, places = _strip([(when, rows[at]) for when, rows in self.frames])
            shown = "".join(
                f'<g transform="translate(0 {place * PITCH:g})">{content}</g>'
                for place, content in enumerate(strip)
                if content
            )
            moves = ""
            if len(places) > 1:
                moves = f' class="m r{at}"'
                css.append(f"@keyframes r{at}{{{self._steps(places)}}}.r{at}{{animation-name:r{at}}}")
            inside.append(
                f'<svg y="{at * HEIGHT:g}" width="{self.columns * WIDTH:g}" height="{HEIGHT:g}">'
                f"<g{moves}>{shown}</g></svg>"
            )
        rule = f".m{{animation:{self.length_s:.2f}s step-end infinite}}"
        return framed("".join(inside), rule + "".join(css), self.rows, self.columns, self.paper, title)

    def _steps(self, places: list[tuple[float, int]]) -> str:
        return "".join(
            f"{100 * when / self.length_s:.3f}%{{transform:translateY({-place * PITCH:g}px)}}"
            for when, place in places
        )


def _strip(contents: list[tuple[float, str]]) -> tuple[list[str], list[tuple[float, int]]]:
    """What a row ever shows, each once, and from when on which of it."""
    strip, places = dict[str, int](), list[tuple[float, int]]()
    for when, content in contents:
        place = strip.setdefault(content, len(strip))
        if not places or places[-1][1] != place:
            places.append((when, place))
    return list(strip), places
