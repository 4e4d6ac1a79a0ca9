"""Figures, what they must be, and what stands beside them."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

RUNS = 3
SAMPLES = 30


@dataclass(frozen=True)
class Figure:
    """One measured value; smaller is better. `must` fails a check, `aim` is what we would like."""

    name: str
    measured: float
    unit: str
    must: float | None = None
    aim: float | None = None

    @property
    def holds(self) -> bool:
        """Is it what it must be?"""
        return self.must is None or self.measured <= self.must


@dataclass
class Report:
    """What one subcommand measured."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self, name: str, measured: float, unit: str, *, must: float | None = None, aim: float | None = None
    ) -> None:
        """Add a figure."""
        self.figures.append(Figure(name, measured, unit, must, aim))

    @property
    def holds(self) -> bool:
        """Is every figure what it must be?"""
        return all(figure.holds for figure in self.figures)

    def as_json(self) -> dict[str, Any]:
        """Title, figures with `holds`, notes."""
        figures = [asdict(figure) | {"holds": figure.holds} for figure in self.figures]
        return {"title": self.title, "figures": figures, "notes": self.notes}

    def as_text(self) -> str:
        """A table."""
        width = max(len(figure.name) for figure in self.figures)
        lines = [self.title, f"  {'':{width}}  {'MEASURED':>12}  {'MUST':>10}  {'AIM':>10}"]
        for figure in self.figures:
            verdict = "" if figure.must is None else "  ok" if figure.holds else "  MISSED"
            wanted = "  ".join(
                f"{'' if value is None else f'{value:g}':>10}" for value in (figure.must, figure.aim)
            )
            value = f"{figure.measured:.1f} {figure.unit}"
            lines.append(f"  {figure.name:{width}}  {value:>12}  {wanted}{verdict}")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def median_ms(act: Callable[[], object], quick: bool, samples: int = SAMPLES) -> float:
    """The median of at least 30 times, or `samples` of what takes seconds; the best of three runs: noise only adds."""
    runs, samples = (1, 3) if quick else (RUNS, samples)
    return min(statistics.median(_once_ms(act) for _ in range(samples)) for _ in range(runs))


def _once_ms(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000
