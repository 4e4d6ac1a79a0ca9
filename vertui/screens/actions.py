"""All actions in one searchable list: as help, as the menu of a selection, or to copy a command line."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from vertui import theme
from vertui.actions import ACTIONS, Action
from vertui.plain import TextInput, entitle
from vertui.screens.base import Dialog
from vertui.selection import Selection
from vertui.text import printable
from vertui.widgets.footer import KeyHints
from vertui.widgets.rows import RowList

TITLES = {"help": "help", "menu": "what to do with {refs}", "copy": "copy as command"}
KEY_WIDTH, LABEL_WIDTH = 7, 17
NO_COMMAND = "it is of this screen alone, no command does it"


class ActionsScreen(Dialog[str]):
    """Answers the id of the action to do. Typing searches, arrows choose."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", show=False, priority=True),
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("pagedown", "page(1)", show=False, priority=True),
        Binding("pageup", "page(-1)", show=False, priority=True),
        Binding("ctrl+y", "copy", show=False, priority=True),
    ]

    def __init__(self, mode: str, selection: Selection) -> None:
        super().__init__()
        self._mode, self._selection = mode, selection

    def compose(self) -> ComposeResult:
        """The search line, the list, the keys."""
        with Vertical(classes="box tall") as box:
            entitle(box, TITLES[self._mode].format(refs=", ".join(self._selection.refs) or "nothing"))
            yield TextInput(hint="type to search")
            yield RowList[Action](self._draw, lambda action: action.id)
            if self._mode == "copy":
                yield KeyHints(("⏎", "copy"), ("esc", "leave"))
            else:
                yield KeyHints(("⏎", "do it"), ("ctrl+y", "copy as command"), ("esc", "leave"))

    def on_mount(self) -> None:
        """Everything, before anything is typed."""
        self._search("")

    def on_input_changed(self, event: TextInput.Changed) -> None:
        """Search as it is typed."""
        self._search(event.value)

    def on_input_submitted(self) -> None:
        """Enter."""
        self._choose()

    def on_row_list_chosen(self) -> None:
        """A double click."""
        self._choose()

    def action_move(self, by: int) -> None:
        """Move the cursor while the search line has the focus."""
        self._list.action_move(by)

    def action_page(self, by: int) -> None:
        """Move it by half a screen."""
        self._list.action_page(by)

    def action_copy(self) -> None:
        """Copy the command line of the current action."""
        if (action := self._list.current) is None:
            return
        command = action.command(self._selection)
        if not command:
            self.vertui.say(f"{action.label}: {NO_COMMAND}")
            self.dismiss(None)
            return
        self.app.copy_to_clipboard(command)
        self.vertui.say(f"copied: {command}", theme.GREEN)
        self.dismiss(None)

    def _choose(self) -> None:
        if self._mode == "copy":
            self.action_copy()
        elif self._list.current is not None:
            self.dismiss(self._list.current.id)

    def _search(self, text: str) -> None:
        words = text.lower().split()
        self._list.show([action for action in self._offered() if action.fits(words)])

    def _offered(self) -> list[Action]:
        if self._mode == "menu":
            return [
                action for action in ACTIONS if not action.refuse(self._selection) and action.id != "menu"
            ]
        return list(ACTIONS)

    @property
    def _list(self) -> RowList[Action]:
        return self.query_one(RowList)

    def _draw(self, action: Action, width: int) -> Text:
        reason = action.refuse(self._selection)
        text = Text(
            f" {action.key_label:<{KEY_WIDTH}}", style=theme.FAINT if reason else f"bold {theme.TEAL}"
        )
        text.append(f"{action.label:<{LABEL_WIDTH}}", theme.MUTED if reason else theme.BRIGHT)
        if self._mode == "copy":
            command = action.command(self._selection)
            text.append(printable(command or NO_COMMAND), theme.TEXT if command else theme.FAINT)
        elif reason:
            text.append(printable(reason), theme.FAINT)
        else:
            text.append(action.help, theme.MUTED)
        text.truncate(width, overflow="ellipsis")
        return text
