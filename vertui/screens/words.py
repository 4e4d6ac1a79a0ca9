"""What things are, searched as one types; where there is nothing yet, with all keys below."""

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget

from vertui.actions import ACTIONS
from vertui.plain import TextInput, entitle
from vertui.screens.base import Dialog
from vertui.widgets.footer import KeyHints
from vertui.widgets.lines import LineView
from vertui.words import found_among, page


class WordsScreen(Dialog[str]):
    """Words and their meanings; `searched` is what it begins with. Answers the id of an action to do, if any."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "scroll_rows(1)", show=False, priority=True),
        Binding("up", "scroll_rows(-1)", show=False, priority=True),
        Binding("pagedown,ctrl+d", "scroll_pages(1)", show=False, priority=True),
        Binding("pageup,ctrl+u", "scroll_pages(-1)", show=False, priority=True),
    ]

    def __init__(self, searched: str = "", *, keys: bool = False) -> None:
        super().__init__()
        self._searched, self._actions = searched, ACTIONS if keys else ()

    def compose(self) -> ComposeResult:
        """The search line, the text, the keys."""
        with Vertical(classes="box tall") as box:
            entitle(box, "what things are" + (", and all keys" if self._actions else ""))
            yield TextInput(self._searched, hint="type to search")
            yield LineView(id="explained")
            enter = [("⏎", "do the first that is found")] if self._actions else []
            yield KeyHints(("↑/↓", "scroll"), *enter, ("esc", "leave"))

    def on_mount(self) -> None:
        """What is searched for from the start."""
        self._show(self._searched)

    def on_input_changed(self, event: TextInput.Changed) -> None:
        """Search as it is typed."""
        self._show(event.value)

    def on_input_submitted(self, event: TextInput.Submitted) -> None:
        """Enter: read, or do the first action that is found."""
        found = found_among(self._actions, event.value) if event.value.strip() else []
        self.dismiss(found[0].id if found else None)

    def scrolled(self) -> Iterable[Widget]:
        """The text."""
        return self.query(LineView)

    def _show(self, searched: str) -> None:
        view = self.query_one(LineView)
        view.show(page(self._actions, searched))
        view.scroll_home(animate=False)
