"""All actions in one searchable list, by their groups: as help, as the menu of a selection, to copy a command line."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from vertui import theme
from vertui.actions import ACTIONS, GROUPS, LEAST_FIT, Action, group_of
from vertui.plain import TextInput, entitle
from vertui.screens.base import Dialog
from vertui.selection import Selection
from vertui.text import printable
from vertui.widgets.footer import KeyHints
from vertui.widgets.rows import RowList

TITLES = {"help": "help", "menu": "what to do with {refs}", "copy": "copy as command"}
KEY_WIDTH, LABEL_WIDTH = 7, 17
Row = Action | Text
"""Or a line between actions: the name of a group, or what is wrong with the user's keys."""

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
            yield RowList[Row](self._draw, lambda row: row.id if isinstance(row, Action) else row.plain)
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
        """Move the cursor while the search line has the focus, over what is no action."""
        rows, place = self._list.items, self._list.cursor + by
        while 0 <= place < len(rows) and isinstance(rows[place], Text):
            place += by
        if 0 <= place < len(rows):
            self._list.cursor = place
        elif by < 0:
            self._list.scroll_to(y=0, animate=False, force=True)  # the first group's name

    def action_page(self, by: int) -> None:
        """Move it by half a screen."""
        self._list.action_page(by)

    def action_copy(self) -> None:
        """Copy the command line of the current action."""
        if (action := self._current) is None:
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
        elif self._current is not None:
            self.dismiss(self._current.id)

    def _search(self, text: str) -> None:
        """Show what fits best first; without a word everything by its group."""
        found = [(action.fit(text), action) for action in self._offered()]
        fitting = sorted(((fit, one) for fit, one in found if fit >= LEAST_FIT), key=lambda pair: -pair[0])
        self._list.show([one for _, one in fitting] if text.strip() else self._by_group())
        self._list.cursor = 0
        if isinstance(self._list.current, Text):
            self.action_move(1)

    def _by_group(self) -> list[Row]:
        rows: list[Row] = []
        if self._mode == "help":
            rows += [Text(f" ✗ {problem}", style=theme.RED) for problem in self.vertui.keymap.problems]
        offered = self._offered()
        for group in GROUPS:
            if members := [action for action in offered if group_of(action) == group]:
                rows += [Text(f" {group}", style=f"bold {theme.VIOLET}"), *members]
        return rows

    def _offered(self) -> list[Action]:
        if self._mode == "menu":
            return [
                action for action in ACTIONS if not action.refuse(self._selection) and action.id != "menu"
            ]
        return list(ACTIONS)

    @property
    def _current(self) -> Action | None:
        row = self._list.current
        return row if isinstance(row, Action) else None

    @property
    def _list(self) -> RowList[Row]:
        return self.query_one(RowList)

    def _draw(self, row: Row, width: int) -> Text:
        text = self._drawn(row) if isinstance(row, Action) else row.copy()
        text.truncate(width, overflow="ellipsis")
        return text

    def _drawn(self, action: Action) -> Text:
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
        return text
