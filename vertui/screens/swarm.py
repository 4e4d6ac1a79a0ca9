"""One swarm, live: its tries ranked, and what can be done with each."""

import time
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import Resize

from core.model import Branch
from vertui import theme
from vertui.actions import BY_ID
from vertui.plain import Words, entitle
from vertui.screens.base import bound
from vertui.screens.swarm_playing import KEYS, SwarmPlaying
from vertui.screens.swarm_rows import SWARM_MARKS, TryBoard, TryRow, by_name, swarm_line, try_rows
from vertui.selection import Selection
from vertui.swarm.glance import SwarmGlance
from vertui.text import printable
from vertui.widgets.footer import KeyHints
from vertui.widgets.rows import RowList

DONE_HERE = ("watch", "exec", "shell", "score", "prune", "pause", "suspend", "commit", "journal")


class SwarmScreen(SwarmPlaying):
    """Keys of the registry act on the branch under the cursor."""

    done_here = DONE_HERE
    BINDINGS: ClassVar[list[BindingType]] = [
        bound("swarms", "app.pop_screen"),
        *(bound(action) for action in DONE_HERE),
        bound("diff", "diff"),
        bound("letters", "go_there"),
        bound("best", "best"),
    ]

    def __init__(self, name: str) -> None:
        super().__init__()
        self.only = name
        self._list = RowList[TryRow](self._draw, lambda row: row.name, id="swarm")
        self._board = TryBoard.of((), 0)
        self._heading, self._said = Words(id="heading"), Words(id="said")

    def compose(self) -> ComposeResult:
        """The columns' names, the tries, a word, the keys."""
        yield self._heading
        yield self._list
        yield self._said
        yield KeyHints(
            ("⏎", "watch"), ("{diff}", "diff with its base"), KEYS[0], ("{letters}", "go to it in the tree"), *KEYS[1:],
            ("{best}", "best"), ("{copy}", "copy as command"), ("esc", "back"),
        )  # fmt: skip

    def on_mount(self) -> None:
        """Before the first look."""
        entitle(self._list, f"swarm {self.only}")
        self._list.focus()

    def on_resize(self, event: Resize) -> None:
        """Another width has other columns."""
        self.call_after_refresh(self.show_swarms)

    # -- what is shown ---------------------------------------------------------------------------------------

    @property
    def swarm(self) -> SwarmGlance | None:
        """This one."""
        return next(iter(self.glances or ()), None)

    def show_swarms(self) -> None:
        """Its tries, as records and tree tell of them."""
        if self.glances is None:
            return
        if (swarm := self.swarm) is None or swarm.trouble:
            self.say_trouble(swarm.trouble if swarm else f"the swarm {self.only} is there no more")
            return
        rows = try_rows(swarm, by_name(self.vertui.selection.newest.branches), time.time())
        if (board := TryBoard.of(rows, self._list.size.width - 1, lowest=swarm.spec.lowest)) != self._board:
            self._board = board
            self._list.draw_anew()
            self._heading.say(board.heading())
        self._list.show(rows)
        sign, colour = SWARM_MARKS[swarm.state]
        title = Text(f"swarm {printable(swarm.name)} · ", style=theme.TEXT)
        entitle(self._list, title.append(f"{sign} {swarm.state}", colour), swarm_line(swarm))
        if swarm.outcome and swarm.outcome.why:
            self._say(swarm.outcome.why, theme.GOLD)

    def say_trouble(self, why: str) -> None:
        """In a line of its own."""
        self._say(why, theme.RED)

    def begun(self, name: str) -> None:
        """Show that one in place of this."""
        if self.is_current:
            self.app.switch_screen(SwarmScreen(name))

    def _say(self, why: str, colour: str) -> None:
        self._said.say(Text(printable(why), style=colour))

    def _draw(self, row: TryRow, width: int) -> Text:
        return self._board.draw(row, width)

    # -- keys ------------------------------------------------------------------------------------------------

    @property
    def _branch(self) -> Branch | None:
        """That of the try under the cursor, if it is there."""
        row = self._list.current
        return by_name(self.vertui.selection.newest.branches).get(row.name) if row else None

    @property
    def selection(self) -> Selection:
        """What actions act on."""
        now = self.vertui.selection
        return Selection(now.newest, self._branch, (), now.connected, self.vertui.read_only)

    def on_row_list_moved(self) -> None:
        """What was said was of another."""
        self._say("", theme.RED)

    def on_row_list_chosen(self) -> None:
        """Enter, or a double click: watch it."""
        self.action_do("watch")

    def action_do(self, action: str) -> None:
        """An action of the registry, on the branch of the try under the cursor."""
        if self._here(BY_ID[action].label) is None:
            return
        selection = self.selection
        if reason := BY_ID[action].refuse(selection):
            self.say_trouble(f"{BY_ID[action].label}: {reason}")
        else:
            self.vertui.perform(action, selection)

    def action_diff(self) -> None:
        """What the try did since the commit that it was forked from, or that all began with."""
        from vertui.screens.diff import DiffScreen

        swarm, row = self.swarm, self._list.current
        if swarm is None or row is None or self._here("diff") is None:
            return
        first = next((one.commit for one in swarm.tries), "")
        base = (swarm.outcome.forked if swarm.outcome else "") or first
        self.app.push_screen(DiffScreen(base, row.name))

    def action_go_there(self) -> None:
        """Leave for the branch, in the tree."""
        if (branch := self._here("go there")) is not None:
            self.vertui.go_to_node(branch)

    def action_best(self) -> None:
        """Go to the best, which stands first."""
        self._list.cursor = 0

    def _here(self, what: str) -> Branch | None:
        row, branch = self._list.current, self._branch
        if row is not None and branch is None:
            self.say_trouble(
                f"{what}: {row.name} is there no more: {BY_ID['trash'].key_label} shows the trash"
            )
        return branch
