"""Figures, what they must be, what exactly was timed, and what stands beside them."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

RUNS = 3
SAMPLES = 30
OUTLIER = 2.0  # times the median: shown beside the figure
MOST_OUTLIERS = 6  # shown a figure; all are in the JSON
COLUMNS = ("", "p50", "p90", "n", "must", "aim")


@dataclass(frozen=True)
class Figure:
    """One measured value, the median where there are `samples`.

    `must` fails a check, `aim` is what we would like; smaller is better unless `at_least`. `promise` is the number of
    the Must hold it proves; `timed` says from what to what.
    """

    name: str
    measured: float
    unit: str
    must: float | None = None
    aim: float | None = None
    at_least: bool = False
    promise: int | None = None
    timed: str = ""
    samples: tuple[float, ...] = ()

    @property
    def holds(self) -> bool:
        """Is it what it must be?"""
        if self.must is None:
            return True
        return self.measured >= self.must if self.at_least else self.measured <= self.must

    @property
    def p90(self) -> float | None:
        """The ninetieth percentile, where there are enough samples to have one."""
        return percentile(self.samples, 0.9) if len(self.samples) > 2 else None

    @property
    def outliers(self) -> list[float]:
        """Samples of more than twice the median, largest first."""
        return sorted((one for one in self.samples if one > OUTLIER * self.measured), reverse=True)

    def cells(self) -> list[str]:
        """What stands in the table's columns."""
        wanted = "≥ " if self.at_least else ""
        return [
            self.name,
            shown(self.measured, self.unit),
            "" if self.p90 is None else shown(self.p90),
            str(len(self.samples) or ""),
            "" if self.must is None else f"{wanted}{self.must:g}",
            "" if self.aim is None else f"{wanted}{self.aim:g}",
        ]

    @property
    def verdict(self) -> str:
        """ok or MISSED, nothing where there is no must."""
        return "" if self.must is None else "ok" if self.holds else "MISSED"


@dataclass
class Report:
    """What one subject measured, on what, and how long that took."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    took_s: float = 0.0

    def add(
        self, name: str, measured: float, unit: str, *, must: float | None = None, aim: float | None = None,
        at_least: bool = False, promise: int | None = None, timed: str = "",
    ) -> None:  # fmt: skip
        """Add a figure."""
        self.figures.append(Figure(name, measured, unit, must, aim, at_least, promise, timed))

    def add_samples(
        self, name: str, samples: Sequence[float], unit: str = "ms", *, must: float | None = None,
        aim: float | None = None, promise: int | None = None, timed: str = "",
    ) -> None:  # fmt: skip
        """Add a figure out of its samples; none at all is a note."""
        if not samples:
            self.notes.append(f"{name}: not measured")
            return
        middle = statistics.median(samples)
        self.figures.append(
            Figure(
                name, middle, unit, must, aim, False, promise, timed, tuple(round(one, 3) for one in samples)
            )
        )

    @property
    def holds(self) -> bool:
        """Is every figure what it must be?"""
        return all(figure.holds for figure in self.figures)

    def as_json(self) -> dict[str, Any]:
        """Title, figures with `holds`, `p90` and `outliers`, notes."""
        figures = [
            asdict(figure) | {"holds": figure.holds, "p90": figure.p90, "outliers": figure.outliers}
            for figure in self.figures
        ]
        return {"title": self.title, "took_s": self.took_s, "figures": figures, "notes": self.notes}

    def as_text(self) -> str:
        """A table; what lies far out and what was timed stand at the end of a line."""
        rows = [list(COLUMNS), *(figure.cells() for figure in self.figures)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
        lines = [f"{self.title} ({self.took_s:.0f} s)"]
        for row, figure in zip(rows, [None, *self.figures], strict=True):
            aligned = [row[0].ljust(widths[0]), *(row[n].rjust(widths[n]) for n in range(1, len(COLUMNS)))]
            ends = [] if figure is None else [figure.verdict.ljust(6), _far_out(figure), figure.timed]
            lines.append("  " + "  ".join([*aligned, *(end for end in ends if end)]).rstrip())
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])

    def as_markdown(self) -> str:
        """The same as rows of one table for all reports."""
        head = f"| **{self.title}** | | | | | | |"
        rows = [
            f"| {' | '.join([*figure.cells(), figure.timed])} |".replace("  ", " ") for figure in self.figures
        ]
        return "\n".join([head, *rows])


def markdown_head(header: Sequence[str]) -> str:
    """What the README shows above the reports: where it was measured, and the table's first lines."""
    table = ["| | p50 | p90 | n | must | aim | what is timed |", "|---|--:|--:|--:|--:|--:|---|"]
    return "\n".join(["; ".join(header), "", *table])


def markdown_notes(reports: Sequence[Report]) -> str:
    """What it shows below them."""
    return "".join(f"\n- {note}" for report in reports for note in report.notes)


def as_promises(reports: Sequence[Report]) -> str:
    """Must, aim and measured of every figure that must hold, in the order of the promises."""
    found = [figure for report in reports for figure in report.figures if figure.must is not None]
    found.sort(key=lambda figure: figure.promise or 99)
    lines = ["must hold"]
    for figure in found:
        name, measured, _, n, must, aim = figure.cells()
        number = f"{figure.promise}." if figure.promise else "·"
        samples = f", n={n}" if n else ""
        wanted = f"must {must}" + (f", aim {aim}" if aim else "")
        lines.append(f"  {number:3} {figure.verdict:6}  {name}: {measured} ({wanted}{samples})")
    return "\n".join(lines)


def shown(value: float, unit: str = "") -> str:
    """A number with three digits that say something."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def percentile(samples: Sequence[float], share: float) -> float:
    """The sample that this share of all does not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """How much y grows when x grows by one: the least squares line through (x, y)."""
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def best_of(measure: Callable[[], Sequence[float]], must: float | None, *, quick: bool) -> Sequence[float]:
    """The samples of one run; of the best of three when the first two miss: noise only adds."""
    runs: list[Sequence[float]] = []
    for _ in range(1 if quick else RUNS):
        runs.append(measure())
        if must is None or not runs[-1] or statistics.median(runs[-1]) <= must:
            return runs[-1]
    return min(runs, key=statistics.median)


def median_ms(act: Callable[[], object], quick: bool, samples: int = SAMPLES) -> float:
    """The median of at least 30 times, or `samples` of what takes seconds; the best of three runs: noise only adds."""
    runs, samples = (1, 3) if quick else (RUNS, samples)
    return min(statistics.median(timed_ms(act) for _ in range(samples)) for _ in range(runs))


def timed_ms(act: Callable[[], object]) -> float:
    """How long it takes once."""
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def _far_out(figure: Figure) -> str:
    if not figure.outliers:
        return ""
    more = len(figure.outliers) - MOST_OUTLIERS
    told = " ".join(shown(one) for one in figure.outliers[:MOST_OUTLIERS])
    return f"[outliers {told}{f' and {more} more' if more > 0 else ''}]"
