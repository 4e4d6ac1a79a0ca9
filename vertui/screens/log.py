"""The operation log: every state-changing verb, newest first."""

import time
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from core.daemon.mirror import as_it_was
from core.errors import NotFound, VertuiError
from core.looking_back import Stride
from core.model import Operation, Tree
from vertui import theme
from vertui.actions import BY_ID
from vertui.feed import News
from vertui.plain import entitle
from vertui.screens.base import VertuiScreen, bound, changing
from vertui.screens.reading import ReadDialog
from vertui.selection import NOTHING, Node, Selection
from vertui.text import millis, printable
from vertui.then_and_now import ThenAndNow
from vertui.widgets.footer import KeyHints
from vertui.widgets.rows import RowList, columns

MOST_OPERATIONS = 500


class LogScreen(VertuiScreen):
    """Follows the log while it is open."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "app.pop_screen", show=False),
        bound("log", "app.pop_screen"),
        bound("undo", "look_back('undo')"),
        bound("redo", "look_back('redo')"),
        bound("earlier", "show_then"),
        bound("letters", "go_there"),
    ]

    def compose(self) -> ComposeResult:
        """The list and its keys."""
        yield RowList[Operation](_draw, lambda operation: operation.id, id="operations")
        yield KeyHints(
            ("{undo}", "undo the newest"),
            ("{redo}", "redo"),
            ("⏎", "show it whole"),
            ("{letters}", "go to what it changed"),
            ("{earlier}", "the tree as it was then"),
            ("esc", "back"),
        )

    def on_mount(self) -> None:
        """Read it."""
        entitle(self._list, "operation log")
        self._read()

    def hear(self, news: News) -> None:
        """Read it again when something was done."""
        if news.fresh or any(event.kind == "operation" for event in news.events):
            self._read()

    def on_row_list_chosen(self) -> None:
        """Enter shows all of an entry that its row cuts."""
        if (operation := self._list.current) is not None:
            self.app.push_screen(ReadDialog(f"operation {operation.id}", _whole(operation)))

    def action_show_then(self) -> None:
        """Show the tree as it was when the current operation had ended."""
        if (operation := self._list.current) is not None:
            self.vertui.show_then(operation.id)

    def action_go_there(self) -> None:
        """Leave for the node that the current operation made or changed, if it is still there."""
        operation, now = self._list.current, self.vertui.selection.newest
        if operation is None:
            return
        number = operation.id

        def go(nodes: list[Node]) -> None:
            if nodes:
                self.vertui.go_to_node(nodes[0])
            else:
                trash = BY_ID["trash"].key_label
                self._told(f"#{number} left nothing in the tree: {trash} shows the trash")

        self.ask(partial(self._changed_by, number, now), go, self._failed)

    def _changed_by(self, operation: int, now: Tree) -> list[Node]:
        """The nodes of now that an operation made, then those that it changed, the trunk first; in a thread."""
        client = self.vertui.client
        then = client.then_at(operation, now.moment, exact=False)
        after, exact = (as_it_was(now, then), True) if then.operation else (now, False)
        try:
            earlier = client.then(Stride.BACK, after.moment, exact=exact)
            before = as_it_was(after, earlier)
        except NotFound:  # it was the first
            before = NOTHING
        both = ThenAndNow(before, after)
        moved = sorted((branch for _, branch in both.moved), key=lambda branch: not branch.trunk)
        shown: list[Node] = [*now.branches, *now.commits]
        there = {node.id: node for node in shown}
        nodes: tuple[Node, ...] = (*both.came, *both.commits_came, *moved)
        return [there[node.id] for node in nodes if node.id in there]

    @changing
    def action_look_back(self, verb: str) -> None:
        """Undo or redo, as on the main screen."""
        self.vertui.perform(verb, Selection())

    def _read(self) -> None:
        self.ask(lambda: self.vertui.client.log(MOST_OPERATIONS), self._show, self._failed)

    def _show(self, log: list[Operation]) -> None:
        self._list.show(log)
        entitle(self._list, below="" if log else "no operation yet")

    def _failed(self, error: VertuiError) -> None:
        self._told(str(error))

    def _told(self, why: str) -> None:
        entitle(self._list, below=Text(printable(why), style=theme.RED))

    @property
    def _list(self) -> RowList[Operation]:
        return self.query_one(RowList)


def _whole(operation: Operation) -> list[Text]:
    said = [(operation.verb, theme.BRIGHT), (operation.summary, theme.TEXT), (operation.error, theme.RED)]
    return [Text(printable(text), style=style) for text, style in said if text]


def _draw(operation: Operation, width: int) -> Text:
    glyph, colour = theme.OPERATION_MARKS[operation.state]
    left = Text.assemble((f"{glyph} ", colour), (f"{operation.id:>5} ", theme.FAINT))
    left.append(f"{printable(operation.verb):<12} ", f"bold {theme.BRIGHT}").append(
        printable(operation.summary), theme.TEXT
    )
    if operation.error:
        left.append(f"  {printable(operation.error)}", theme.RED)
    right = Text("" if operation.undoable else "no undo ", style=theme.FAINT)
    if operation.finished not in (None, operation.created):  # what has no end of its own took no time
        right.append(f"{millis((operation.finished - operation.created) * 1000):>8} ", theme.MUTED)
    clock = time.strftime("%d %b %H:%M:%S", time.localtime(operation.created))
    return columns(left, right.append(clock, theme.FAINT), width)
