"""All swarms of the home, the newest first, live; and beginning one."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType

from vertui import theme
from vertui.actions import BY_ID
from vertui.plain import Words, entitle
from vertui.screens.base import bound, changing
from vertui.screens.swarm import SwarmScreen
from vertui.screens.swarm_form import SwarmForm
from vertui.screens.swarm_playing import KEYS, SwarmPlaying
from vertui.screens.swarm_process import may_play
from vertui.screens.swarm_rows import draw_swarm
from vertui.swarm.glance import SwarmGlance
from vertui.text import counted, printable
from vertui.widgets.footer import KeyHints
from vertui.widgets.rows import RowList


class SwarmsScreen(SwarmPlaying):
    """Enter shows how the tries of one are."""

    BINDINGS: ClassVar[list[BindingType]] = [bound("swarms", "app.pop_screen"), bound("up", "begin")]

    def __init__(self) -> None:
        super().__init__()
        self._list = RowList[SwarmGlance](draw_swarm, lambda swarm: swarm.name, id="swarms")
        self._said = Words(id="said")

    def compose(self) -> ComposeResult:
        """The list, a word, its keys."""
        yield self._list
        yield self._said
        yield KeyHints(("⏎", "its tries"), ("{up}", "begin one"), *KEYS, ("esc", "back"))

    def on_mount(self) -> None:
        """Before the first look."""
        entitle(self._list, "swarms")

    def show_swarms(self) -> None:
        """The newest first."""
        if (found := self.glances) is None:
            return
        self._list.show(sorted(found, key=lambda swarm: -swarm.begun))
        self._list.draw_anew()  # they are older than before
        entitle(self._list, f"swarms · {len(found)}" if found else "swarms")
        at_work = sum(bool(one.player) for one in found)
        none = f"no swarm yet: {BY_ID['up'].key_label} begins one, of N ways to try at once"
        entitle(
            self._list, below=f"{counted(at_work, 'swarm')} at work" if at_work else "" if found else none
        )

    def say_trouble(self, why: str) -> None:
        """In a line of its own."""
        self._said.say(Text(printable(why), style=theme.RED))

    def begun(self, name: str) -> None:
        """Show it."""
        if self.is_attached:
            self.app.push_screen(SwarmScreen(name))

    @property
    def swarm(self) -> SwarmGlance | None:
        """The one under the cursor."""
        return self._list.current

    def on_row_list_chosen(self) -> None:
        """Enter."""
        if (swarm := self.swarm) is not None:
            self.app.push_screen(SwarmScreen(swarm.name))

    def on_row_list_moved(self) -> None:
        """What was said was of another."""
        self._said.say("")

    @changing
    def action_begin(self) -> None:
        """Ask what is to be tried."""
        if may_play(self.vertui):
            self.app.push_screen(SwarmForm(self.vertui, self.begun))
