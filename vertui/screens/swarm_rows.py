"""How swarms and their tries look, a line each: what records say, beside what the tree knows of their branches."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from core.model import Branch
from vertui import theme
from vertui.lanes import BRANCH_MARKS
from vertui.lives import said, score_bar
from vertui.swarm.glance import SwarmGlance, SwarmTry
from vertui.text import age, millis, number, printable, short_count
from vertui.widgets.rows import columns

MARGIN = 4  # cells of the winner's sign and the state's glyph
BAR = 8
LEAST_LINE = 20  # cells for a last line, without which other columns go
SWARM_MARKS = {
    "at work": ("●", theme.GREEN), "interrupted": ("‖", theme.GOLD), "ended": ("✓", theme.TEAL),
    "promoted": ("★", theme.GOLD), "damaged": ("✗", theme.RED),
}  # fmt: skip


@dataclass(frozen=True)
class TryRow:
    """A try, ready to be drawn: `score` has its bar beside it, `line` is what was printed last, or why there is no
    score. One whose branch is there no more is `gone`.
    """

    name: str
    gone: bool
    place: int
    round: int
    mark: tuple[str, str]
    state: str
    score: float | None
    best: bool
    exit: tuple[str, str]
    took: str
    line: str


@dataclass(frozen=True)
class TryColumn:
    """`text` is what is shown, and its style."""

    title: str
    width: int
    text: Callable[[TryRow, "TryBoard"], tuple[str, str]]


def _bar(row: TryRow, board: "TryBoard") -> tuple[str, str]:
    score = None if row.score is None else board.sign * row.score
    shown = score_bar(score, board.scores, BAR) if score is not None and board.scores else ""
    return f" {shown:<{BAR}}", theme.GOLD if row.best else theme.TEAL


COLUMNS = {
    "state": TryColumn("state", 12, lambda row, board: (row.state, row.mark[1])),
    "round": TryColumn("round", 6, lambda row, board: (short_count(row.round), theme.MUTED)),
    "score": TryColumn("score", 9, lambda row, board: (number(row.score)[:8], f"bold {theme.BRIGHT}")),
    "bar": TryColumn("", BAR + 1, _bar),
    "exit": TryColumn("exit", 7, lambda row, board: row.exit),
    "took": TryColumn("took", 9, lambda row, board: (row.took, theme.TEXT)),
}
GO_FIRST = ("bar", "round", "try", "took", "exit", "state")  # where there is no room for all
TRY = 6  # cells of a try's number


@dataclass(frozen=True)
class TryBoard:
    """Which columns there is room for, how wide names are, the worst score and the best: found once for all rows.
    Scores have the `sign` that makes the best one the highest.
    """

    names: int
    shown: frozenset[str]
    scores: tuple[float, float] | None
    sign: int

    @classmethod
    def of(cls, rows: Sequence[TryRow], width: int, *, lowest: bool = False) -> "TryBoard":
        """For these rows in lines of this width."""
        names = max((cell_len(printable(row.name)) for row in rows), default=8) + 1
        shown = [*COLUMNS, "try"]
        widths = {name: column.width for name, column in COLUMNS.items()} | {"try": TRY}
        for name in GO_FIRST:
            if MARGIN + names + sum(widths[one] for one in shown) + LEAST_LINE > width:
                shown.remove(name)
        sign = -1 if lowest else 1
        found = [sign * row.score for row in rows if row.score is not None]
        return cls(names, frozenset(shown), (min(found), max(found)) if found else None, sign)

    def heading(self) -> Text:
        """The columns' names, over their columns."""
        text = Text(" " * (MARGIN + 1), style=theme.MUTED, no_wrap=True)
        text.append(f"{'try':<{TRY}}" if "try" in self.shown else "").append(f"{'branch':<{self.names}}")
        for name, column in COLUMNS.items():
            if name in self.shown:
                text.append(
                    f"{column.title:<{column.width}}"
                    if name == "state"
                    else f"{column.title:>{column.width}}"
                )
        return text.append("  last line")

    def draw(self, row: TryRow, width: int) -> Text:
        """One row."""
        sign = "▲ " if row.best else "  "
        text = Text(sign, style=f"bold {theme.GOLD}", no_wrap=True).append(f"{row.mark[0]} ", row.mark[1])
        if "try" in self.shown:
            text.append(f"{f'#{row.place}':<{TRY}}", theme.FAINT)
        name, style = printable(row.name), f"bold {theme.GOLD}" if row.best else f"bold {theme.BRIGHT}"
        text.append(name, theme.MUTED if row.gone else style)
        text.append(" " * max(1, self.names - cell_len(name)))
        for column_name, column in COLUMNS.items():
            if column_name in self.shown:
                shown, style = column.text(row, self)
                text.append(
                    f"{shown:<{column.width}}" if column_name == "state" else f"{shown:>{column.width}}",
                    style,
                )
        text.append(f"  {printable(row.line)}", theme.TEXT)
        text.truncate(width, overflow="ellipsis")
        return text


def try_rows(glance: SwarmGlance, branches: Mapping[str, Branch], now: float) -> list[TryRow]:
    """Best first, then what is at work, then what has no score."""
    best = glance.winner or (glance.best.branch if glance.best else "")
    places = {one.branch: at for at, one in enumerate(glance.results)}
    rows = [_row(one, branches.get(one.branch), best, now) for one in glance.tries]

    def order(row: TryRow) -> tuple[int, int]:
        scored = row.name in places and row.score is not None
        return (
            (0, places[row.name]) if scored else (1 if row.state in ("at work", "running") else 2, row.place)
        )

    return sorted(rows, key=order)


def _row(one: SwarmTry, branch: Branch | None, best: str, now: float) -> TryRow:
    last, result = branch.last if branch else None, one.result
    code = result.exit_code if result and result.exit_code is not None else last.exit_code if last else None
    runs = result is None and not one.refused and branch is not None
    if result and result.lasted_ms is not None:
        took = _took(result.lasted_ms / 1000)
    else:
        took = f"{_took(max(0.0, now - last.started))}…" if runs and last and code is None else ""
    line = (
        one.refused
        or (result.note if result and result.score is None else "")
        or (said(last) if last else "")
    )
    return TryRow(
        one.branch, branch is None, one.place, one.round, _mark(one, branch), _state(one, branch),
        one.score if result else branch.score if branch else None, one.branch == best,
        ("", theme.MUTED) if code is None else theme.exit_mark(code, bool(last and last.timed_out)), took, line,
    )  # fmt: skip


def _state(one: SwarmTry, branch: Branch | None) -> str:
    if one.refused:
        return "not started"
    if branch is None:
        return "pruned"
    if branch.trunk:
        return "trunk"
    if one.result is None:
        return "at work" if branch.scoring else str(branch.state)
    return (
        ("scored" if one.score is not None else "no score")
        if branch.state == "running"
        else str(branch.state)
    )


def _mark(one: SwarmTry, branch: Branch | None) -> tuple[str, str]:
    if one.refused or (one.result and one.score is None):
        return "✗", theme.RED
    if one.result:
        return "✓", theme.GREEN
    return (BRANCH_MARKS[branch.state].glyph, theme.colour_of(branch)) if branch else ("·", theme.MUTED)


def _took(seconds: float) -> str:
    return millis(seconds * 1000) if seconds < 60 else age(seconds)


# -- swarms ----------------------------------------------------------------------------------------------------


def tally(glance: SwarmGlance) -> Text:
    """How many tries are at work, have a score, have none."""
    scored = sum(one.score is not None for one in glance.tries)
    failed = sum(bool(one.refused) or (one.result is not None and one.score is None) for one in glance.tries)
    counts = (
        (len(glance.tries) - scored - failed, "●", theme.GREEN),
        (scored, "✓", theme.TEAL),
        (failed, "✗", theme.RED),
    )
    return Text(" ").join(
        Text(f"{sign} {count}", style=style if count else theme.FAINT) for count, sign, style in counts
    )


def swarm_line(glance: SwarmGlance) -> Text:
    """A swarm in short: which round it is in, its tries, its best."""
    rounds = f"/{glance.spec.rounds}" if glance.spec.rounds > 1 else ""
    text = Text(f"round {glance.round}{rounds} · " if glance.round else "", style=theme.MUTED).append_text(
        tally(glance)
    )
    if (best := glance.best) is not None:
        text.append(f" · best {number(best.score)} {printable(best.branch)}", theme.GOLD)
    if glance.outcome and glance.outcome.answer:
        text.append(f" · {printable(glance.outcome.answer)}", theme.BRIGHT)
    return text


def draw_swarm(glance: SwarmGlance, width: int) -> Text:
    """One row of the list."""
    sign, colour = SWARM_MARKS[glance.state]
    left = Text.assemble((f"{sign} ", colour), (f"{printable(glance.name):<20} ", f"bold {theme.BRIGHT}"))
    left.append(f"{glance.state:<12} ", colour)
    if glance.trouble:
        return columns(left.append(printable(glance.trouble), theme.RED), Text(), width)
    left.append_text(swarm_line(glance))
    return columns(
        left,
        Text(
            f"of {printable(glance.spec.base[:20])}  {age(time.time() - glance.begun)} ago", style=theme.FAINT
        ),
        width,
    )


def by_name(branches: Iterable[Branch]) -> dict[str, Branch]:
    """Branches by their names."""
    return {branch.name: branch for branch in branches}
