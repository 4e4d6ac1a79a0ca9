"""Branches in order: the scoreboard's columns, and how a row of them looks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from core.diff.result import DiffSize
from core.model import Branch, Command
from vertui import theme
from vertui.lanes import BRANCH_MARKS
from vertui.text import age, millis, natural, number, printable, short_count, size

MARGIN = 6  # columns of the mark, the best's sign and the state's glyph
LEAST_NOTE = 12  # columns: where less is left for notes, other columns go
LEAST_NAME = 8


@dataclass(frozen=True)
class Ranked:
    """A branch, its newest command, and what it changed since it was forked; None where that is not known."""

    branch: Branch
    command: Command | None
    changes: DiffSize | None = None

    def took_s(self, now: float) -> float | None:
        """How long the command ran, or runs by now; None where nobody knows."""
        if self.command is None:
            return None
        if self.command.lasted_ms is not None:
            return self.command.lasted_ms / 1000
        return max(0.0, now - self.command.started) if self.command.exit_code is None else None


@dataclass(frozen=True)
class RankColumn:
    """`key` sorts, those first that are good; `text` is what is shown. `expendable` columns go where room is short."""

    title: str
    width: int
    key: Callable[[Ranked], tuple[object, ...]]
    text: Callable[[Ranked, float], tuple[str, str]]
    expendable: bool = False


def _score(entry: Ranked, now: float) -> tuple[str, str]:
    return number(entry.branch.score), f"bold {theme.BRIGHT}"


def _took(entry: Ranked, now: float) -> tuple[str, str]:
    seconds = entry.took_s(now)
    if seconds is None:
        return "", theme.MUTED
    shown = millis(seconds * 1000) if seconds < 60 else age(seconds)
    runs = entry.command is not None and entry.command.exit_code is None
    return (f"{shown}…", theme.GREEN) if runs else (shown, theme.TEXT)


def _exit(entry: Ranked, now: float) -> tuple[str, str]:
    if entry.command is None:
        return "", theme.MUTED
    code = entry.command.exit_code
    return ("●", theme.GREEN) if code is None else theme.exit_mark(code, entry.command.timed_out)


def _outcome(entry: Ranked) -> int:
    """0 for what ended well, then what runs, what ended badly, what never was."""
    if entry.command is None:
        return 3
    return {0: 0, None: 1}.get(entry.command.exit_code, 2)


def _paths(entry: Ranked, now: float) -> tuple[str, str]:
    return (f"{entry.changes.paths}" if entry.changes else ""), theme.TEXT


def _lines(entry: Ranked, now: float) -> tuple[str, str]:
    if entry.changes is None or entry.changes.lines is None:
        return "", theme.MUTED
    added, removed = entry.changes.lines
    return f"+{short_count(added)} −{short_count(removed)}", theme.TEXT


def _by_lines(entry: Ranked) -> tuple[bool, float]:
    return _known(sum(entry.changes.lines) if entry.changes and entry.changes.lines else None)


def _known(value: float | None) -> tuple[bool, float]:
    return value is None, value or 0.0


COLUMNS = (
    RankColumn("score", 8, lambda one: _known(None if one.branch.score is None else -one.branch.score), _score),
    RankColumn("took", 9, lambda one: _known(one.took_s(0.0) if one.command else None), _took),
    RankColumn("exit", 6, lambda one: (_outcome(one), one.command.exit_code or 0 if one.command else 0), _exit),
    RankColumn("files", 7, lambda one: _known(one.changes.paths if one.changes else None), _paths, True),
    RankColumn("lines ±", 13, _by_lines, _lines, True),
    RankColumn("changed", 9, lambda one: (one.branch.changed_bytes,),
           lambda one, now: (size(one.branch.changed_bytes) if one.branch.changed_bytes else "", theme.MUTED), True),
    RankColumn("memory", 8, lambda one: (one.branch.memory_bytes,),
           lambda one, now: (size(one.branch.memory_bytes) if one.branch.memory_bytes else "", theme.MUTED), True),
    RankColumn("name", 0, lambda one: (natural(one.branch.name),), lambda one, now: (one.branch.name, theme.BRIGHT)),
)  # fmt: skip
"""What can be sorted by. The name stands first on the screen, and the note, which has no order, last."""


def ranked(entries: Sequence[Ranked], by: RankColumn, turned: bool) -> list[Ranked]:
    """In order of a column; those that are alike in it by what they scored, how they ended, and their names."""
    rest = (COLUMNS[0], COLUMNS[2], COLUMNS[1], COLUMNS[-1])
    ordered = sorted(entries, key=lambda one: tuple(column.key(one) for column in (by, *rest)))
    return ordered[::-1] if turned else ordered


@dataclass(frozen=True)
class Board:
    """How wide the columns are that there is room for, the name's first, and the best score of all. It is found once
    for all rows.
    """

    columns: tuple[tuple[RankColumn, int], ...]
    best: float | None

    @classmethod
    def of(cls, entries: Sequence[Ranked], width: int) -> "Board":
        """For these entries in lines of this width."""
        name = max((cell_len(printable(entry.branch.name)) for entry in entries), default=LEAST_NAME) + 1
        shown = [column for column in COLUMNS if column.width]
        while MARGIN + name + sum(column.width for column in shown) + LEAST_NOTE > width:
            if not (expendable := [column for column in shown if column.expendable]):
                break
            shown.remove(expendable[-1])
        scores = (entry.branch.score for entry in entries if entry.branch.score is not None)
        columns = ((COLUMNS[-1], name), *((column, column.width) for column in shown))
        return cls(columns, max(scores, default=None))

    def heading(self, by: int, turned: bool) -> Text:
        """The columns' names over their columns, the one that is sorted by marked."""
        text = Text(" " * (MARGIN + 1), style=theme.MUTED, no_wrap=True)
        for column, wide in self.columns:
            chosen = column is COLUMNS[by]
            title = f"{column.title} {'▴' if turned else '▾'}" if chosen else column.title
            shown = f"{title:<{wide}}" if column is COLUMNS[-1] else f"{title:>{wide}}"
            text.append(shown, f"bold {theme.TEAL}" if chosen else theme.MUTED)
        return text.append("  note")

    def place_of(self, x: int) -> int | None:
        """Which column is at this place of the heading."""
        at = MARGIN + 1
        for column, wide in self.columns:
            if at <= x < at + wide:
                return COLUMNS.index(column)
            at += wide
        return None

    def draw(self, entry: Ranked, width: int, *, marked: bool, now: float) -> Text:
        """One row."""
        branch = entry.branch
        best = branch.score is not None and branch.score == self.best
        text = Text("✓ " if marked else "  ", style=theme.GOLD, no_wrap=True)
        text.append("▲ " if best else "★ " if branch.trunk else "  ", f"bold {theme.GOLD}")
        text.append(f"{BRANCH_MARKS[branch.state].glyph} ", theme.colour_of(branch))
        (_, name_width), *columns = self.columns
        name = printable(branch.name)
        text.append(name, f"bold {theme.GOLD}" if best else f"bold {theme.BRIGHT}")
        text.append(" " * (name_width - cell_len(name)))
        for column, wide in columns:
            shown, style = column.text(entry, now)
            text.append(f"{shown:>{wide}}", style)
        text.append(f"  {printable(branch.note)}", theme.TEXT)
        text.truncate(width, overflow="ellipsis")
        return text
