"""How far a swarm is, for who looks on: a table that is drawn again as something happens, or a line for each thing."""

from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from vertui.swarm.results import SwarmResult
from vertui.text import millis, number, printable

MOST_ROWS = 20  # of results; those below them are counted
AT_WORK, DONE, NONE = "●", "✓", "✗"


class PrintedBoard:
    """A line for each thing."""

    def say(self, line: str) -> None:
        """Print it."""
        print(printable(line), flush=True)

    def show(self, round: int, running: Sequence[str], results: Sequence[SwarmResult]) -> None:
        """What came of each was said."""

    def close(self) -> None:
        """There is nothing to leave."""


class LiveBoard:
    """A table on the terminal, drawn when something happened and at no other time."""

    def __init__(self) -> None:
        self._line = Text()
        self._table: Table | None = None
        self._live = Live(console=Console(highlight=False, emoji=False), auto_refresh=False, transient=True)
        self._live.start()

    def say(self, line: str) -> None:
        """Show it below the table."""
        self._line = Text(printable(line), style="dim", no_wrap=True, overflow="ellipsis")
        self._draw()

    def show(self, round: int, running: Sequence[str], results: Sequence[SwarmResult]) -> None:
        """Draw the table anew."""
        self._table = table_of(round, running, results)
        self._draw()

    def close(self) -> None:
        """Take the table away."""
        self._live.stop()

    def _draw(self) -> None:
        shown = Group(self._line) if self._table is None else Group(self._table, self._line)
        self._live.update(shown, refresh=True)


def table_of(round: int, running: Sequence[str], results: Sequence[SwarmResult]) -> Table:
    """The table: results best first, then what is at work."""
    table = Table(box=None, pad_edge=False, title=Text(f"round {round}"), title_justify="left")
    for name in ("", "BRANCH", "SCORE", "TIME", "NOTE"):
        table.add_column(
            name, no_wrap=True, overflow="ellipsis", justify="right" if name in ("SCORE", "TIME") else "left"
        )
    for one in results[:MOST_ROWS]:
        scored = one.score is not None
        mark = Text(DONE if scored else NONE, style="green" if scored else "red")
        took = millis(one.lasted_ms) if one.lasted_ms is not None else ""
        table.add_row(mark, Text(one.branch), Text(number(one.score)), Text(took), Text(printable(one.note)))
    if (more := len(results) - MOST_ROWS) > 0:
        table.add_row("", Text(f"and {more} more"))
    for name in running[:MOST_ROWS]:
        table.add_row(Text(AT_WORK, style="yellow"), Text(name), "", "", Text("at work", style="dim"))
    if (more := len(running) - MOST_ROWS) > 0:
        table.add_row("", Text(f"and {more} more at work"))
    return table
