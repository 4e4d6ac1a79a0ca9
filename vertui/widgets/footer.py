"""The footer: the keys of the moment, dimmed where they cannot run, each to be clicked as well as pressed."""

import re
from collections.abc import Iterator

from rich.style import Style
from rich.text import Text
from textual.events import Click
from textual.reactive import reactive
from textual.widget import Widget

from vertui import theme
from vertui.actions import ACTIONS, BY_ID, Action
from vertui.plain import cut
from vertui.selection import Selection
from vertui.text import printable


class ActionFooter(Widget):
    """One line of keys. Those left out for want of room are in the help."""

    selection: reactive[Selection] = reactive(Selection, repaint=False)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._parts = list[tuple[Action, bool]]()  # the actions to show, and whether each is refused

    def watch_selection(self) -> None:
        """Draw the keys anew if any is another, or no longer to be pressed, or to be pressed again."""
        parts = [(action, bool(reason)) for action, reason in self._judged()]
        if parts != self._parts:
            self._parts = parts
            self.refresh()

    def render(self) -> Text:
        """The keys that fit, the last two always."""
        parts = [_part(action, refused) for action, refused in self._parts]
        while len(parts) > 3 and sum(part.cell_len for part in parts) > self.size.width:
            del parts[-3]
        return Text.assemble(*parts, no_wrap=True)

    def _judged(self) -> Iterator[tuple[Action, str | None]]:
        """The actions of the footer, what helps when the daemon is stopped, and why each is refused."""
        for action in ACTIONS:
            if action.footer or action.id == "start":
                reason = action.refuse(self.selection)
                if action.footer or not reason:
                    yield action, reason

    async def on_click(self, event: Click) -> None:
        """A click on a key presses it."""
        if action := event.style.meta.get("action"):
            await self.run_action(f"app.act({action!r})")


def _part(action: Action, refused: bool) -> Text:
    key, label = (theme.FAINT, theme.FAINT) if refused else (f"bold {theme.TEAL}", theme.MUTED)
    text = Text.assemble((f" {action.key_label} ", key), (f"{action.label} ", label))
    text.stylize(Style(meta={"action": action.id}))
    return text


class KeyHints(Widget):
    """The footer of a dialog or a screen of its own: keys and what they do there, that the daemon is away, and what is
    being done for longer than a moment.

    A key of the registry is given as `{fork}`, by its id: it is shown as what it is moved to. Keys that do not fit are
    left out, the last never: ? tells of all.
    """

    trouble: reactive[str] = reactive("", layout=False)
    jobs: reactive[tuple[str, ...]] = reactive((), layout=False)

    def __init__(self, *hints: tuple[str, str]) -> None:
        super().__init__()
        self._hints = hints

    @property
    def hints(self) -> list[tuple[str, str]]:
        """Keys as they are printed, and what they do here."""
        return [(_named(key), label) for key, label in self._hints]

    def become(self, *hints: tuple[str, str]) -> None:
        """Show these instead."""
        self._hints = hints
        self.refresh()

    def render(self) -> Text:
        """Trouble, keys and words."""
        text = Text(no_wrap=True)
        if self.trouble:
            text.append(f" ✗ {printable(self.trouble)} ", theme.RED)
        for job in self.jobs[:1]:
            text.append_text(cut(Text(f" ◌ {printable(job)}… ", style=theme.TEAL), self.size.width // 2))
        parts = [
            Text.assemble((f" {key} ", f"bold {theme.TEAL}"), (f"{label} ", theme.MUTED))
            for key, label in self.hints
        ]
        while len(parts) > 1 and text.cell_len + sum(part.cell_len for part in parts) > self.size.width:
            del parts[-2]
        return Text.assemble(text, *parts, no_wrap=True)


def _named(key: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: BY_ID[found[1]].key_label, key)
