"""The themes in a list: what the cursor is on is worn at once, enter keeps it and escape goes back."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from vertui import theme
from vertui.plain import entitle
from vertui.screens.base import Dialog, bound
from vertui.themes import THEMES, ColourTheme
from vertui.widgets.footer import KeyHints
from vertui.widgets.rows import RowList

NAME_WIDTH = 14
ONLY_LATER = "NO_COLOR is set: it is worn when it is not"


class ThemesDialog(Dialog[None]):
    """Chooses the colours."""

    BINDINGS: ClassVar[list[BindingType]] = [bound("themes", "leave")]

    def compose(self) -> ComposeResult:
        """The list and its keys."""
        self._before = self.vertui.worn
        with Vertical(classes="box tall") as box:
            entitle(box, "themes", ONLY_LATER if self.app.no_color else "")
            yield RowList[ColourTheme](_draw, lambda worn: worn.name)
            yield KeyHints(("j/k", "look"), ("⏎", "keep it"), ("esc", "as it was"))

    def on_mount(self) -> None:
        """Begin with the one that is worn."""
        self._list.show(THEMES)
        self._list.cursor = THEMES.index(self._before)
        self._list.focus()

    def on_row_list_moved(self) -> None:
        """Wear it."""
        if (worn := self._list.current) is not None and worn is not self.vertui.worn:
            self.vertui.wear(worn)

    def on_row_list_chosen(self) -> None:
        """Keep it."""
        self.dismiss(None)

    def action_leave(self) -> None:
        """Wear again what was worn before."""
        self.vertui.wear(self._before)
        self.dismiss(None)

    @property
    def _list(self) -> RowList[ColourTheme]:
        return self.query_one(RowList)


def _draw(worn: ColourTheme, width: int) -> Text:
    text = Text.assemble((f" {worn.name:<{NAME_WIDTH}}", theme.BRIGHT), (worn.about, theme.MUTED))
    text.truncate(width, overflow="ellipsis")
    return text
