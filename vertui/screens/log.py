"""The operation log: every state-changing verb, newest first."""

import time
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from core.model import Operation
from vertui import theme
from vertui.actions import Selection
from vertui.feed import News
from vertui.screens.base import VertuiScreen
from vertui.text import millis, printable
from vertui.verbs import Verbs
from vertui.widgets.footer import KeyHints
from vertui.widgets.rows import RowList, columns

MOST_OPERATIONS = 500


class LogScreen(VertuiScreen):
    """Follows the log while it is open."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,l", "app.pop_screen", show=False),
        Binding("u", "look_back('undo')", show=False),
        Binding("U", "look_back('redo')", show=False),
    ]

    def compose(self) -> ComposeResult:
        """The list and its keys."""
        yield RowList[Operation](_draw, lambda operation: operation.id, id="operations")
        yield KeyHints(("u", "undo the newest"), ("U", "redo"), ("esc", "back"))

    def on_mount(self) -> None:
        """Read it."""
        self.query_one(RowList).border_title = "operation log"
        self._read()

    def hear(self, news: News) -> None:
        """Read it again when something was done."""
        if any(event.kind == "operation" for event in news.events):
            self._read()

    def action_look_back(self, verb: str) -> None:
        """Undo or redo, as on the main screen."""
        getattr(Verbs(self.vertui, self.vertui.main), verb)(Selection())

    def _read(self) -> None:
        self.vertui.ask(lambda: self.vertui.client.log(MOST_OPERATIONS), self.query_one(RowList).show)


def _draw(operation: Operation, width: int) -> Text:
    glyph, colour = theme.OPERATION_MARKS[operation.state]
    left = Text.assemble((f"{glyph} ", colour), (f"{operation.id:>5} ", theme.FAINT))
    left.append(f"{operation.verb:<12} ", f"bold {theme.BRIGHT}").append(
        printable(operation.summary), theme.TEXT
    )
    if operation.error:
        left.append(f"  {printable(operation.error)}", theme.RED)
    right = Text("" if operation.undoable else "no undo ", style=theme.FAINT)
    if operation.finished is not None:
        right.append(f"{millis((operation.finished - operation.created) * 1000):>8} ", theme.MUTED)
    clock = time.strftime("%d %b %H:%M:%S", time.localtime(operation.created))
    return columns(left, right.append(clock, theme.FAINT), width)
