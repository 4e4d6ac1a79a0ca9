"""The tabs of open shells, in one line: what each is, how it is, and a word about the one in view."""

from rich.style import Style
from rich.text import Text
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

from vertui import theme
from vertui.text import printable
from vertui.widgets.shell import Shell

LONGEST_NAME = 20


class TabBar(Widget):
    """Click a tab to see it, + for another shell in the same branch."""

    class TabChosen(Message):
        """A tab was clicked, by its place; behind the last is the one that opens another."""

        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shells: list[Shell] = []
        self._current: Shell | None = None
        self._word = ""

    def show(self, shells: list[Shell], current: Shell | None, word: str) -> None:
        """These shells, the one in view, and a word about it."""
        self._shells, self._current, self._word = list(shells), current, word
        self.refresh()

    def render(self) -> Text:
        """The tabs around the current one that fit, and the word at the right where there is room."""
        parts = [self._tab(place, shell) for place, shell in enumerate(self._shells)]
        first = self._shells.index(self._current) if self._current in self._shells else 0
        width, line = self.size.width, Text(no_wrap=True)
        while first and sum(part.cell_len for part in parts[first - 1 :]) + 3 <= width:
            first -= 1
        for part in parts[first:]:
            line.append_text(part)
        line.append(" + ", Style.parse(f"bold {theme.TEAL}") + Style(meta={"tab": len(parts)}))
        word = printable(self._word)
        if word and (room := width - line.cell_len - 2) > 8:
            told = Text(word, theme.MUTED)
            told.truncate(room, overflow="ellipsis")
            line.append(" " * (width - line.cell_len - told.cell_len - 1)).append_text(told)
        return line

    def _tab(self, place: int, shell: Shell) -> Text:
        mark, colour = mark_of(shell)
        here = shell is self._current
        name = Text(printable(shell.branch), f"bold {theme.BRIGHT}" if here else theme.MUTED)
        name.truncate(LONGEST_NAME, overflow="ellipsis")
        tab = Text.assemble((f" {mark} ", colour), name, " ", no_wrap=True)
        if here:
            tab.stylize(f"on {theme.SELECTED}")
        tab.stylize(Style(meta={"tab": place}))
        return tab

    def on_click(self, event: Click) -> None:
        """A click on a tab."""
        if (place := event.style.meta.get("tab")) is not None:
            self.post_message(self.TabChosen(place))


def mark_of(shell: Shell) -> tuple[str, str]:
    """How a shell is: a mark and its colour."""
    if shell.error is not None:
        return "✗", theme.RED
    if shell.exit_code is not None:
        return ("✓", theme.MUTED) if shell.exit_code == 0 else (f"✗ {shell.exit_code}", theme.RED)
    if shell.away:
        return "◌", theme.GOLD
    return ("◆", theme.GOLD) if shell.unread else ("●", theme.GREEN)
