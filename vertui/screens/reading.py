"""A dialog that only shows lines: the keys of a screen, or an entry too long for its row."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget

from vertui import theme
from vertui.actions import BY_ID
from vertui.plain import Shown, entitle
from vertui.screens.base import SCROLL_KEYS, Dialog, bound
from vertui.widgets.footer import KeyHints
from vertui.widgets.lines import LineView


class ReadDialog(Dialog[None]):
    """Scrolls; enter leaves it too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *SCROLL_KEYS,
        Binding("enter", "leave", show=False),
        bound("help", "leave"),
    ]

    def __init__(self, title: Shown, lines: Sequence[Text], hints: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__()
        self._title, self._lines, self._hints = title, lines, hints

    def compose(self) -> ComposeResult:
        """The lines and the keys."""
        with Vertical(classes="box tall") as box:
            entitle(box, self._title)
            yield LineView(id="reading")
            yield KeyHints(*self._hints, ("j/k", "scroll"), ("esc", "leave"))

    def on_mount(self) -> None:
        """Show them."""
        self.query_one(LineView).show(self._lines)

    def scrolled(self) -> Iterable[Widget]:
        """The lines."""
        return self.query(LineView)


def keys_dialog(hints: Iterable[tuple[str, str]]) -> ReadDialog:
    """Keys and what they do, one a line."""
    always = [(BY_ID[id].key_label, BY_ID[id].help) for id in ("start", "palette", "picture")]
    lines = [
        Text.assemble((f"{key:<10}", f"bold {theme.TEAL}"), (words, theme.TEXT))
        for key, words in (*hints, *always)
    ]
    return ReadDialog("keys", lines)
