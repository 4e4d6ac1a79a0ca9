"""The scoreboard: branches ranked by what they scored, took and left behind; verbs act on those that are marked."""

import time
from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.message import Message
from textual.widget import Widget

from core.commands import Command, newest
from core.errors import DaemonUnavailable, VertuiError
from core.model import Branch, Tree
from vertui import theme
from vertui.actions import BY_ID, DERIVED
from vertui.feed import News
from vertui.filters import CHANGED, Filter, parse, select, told_of
from vertui.plain import TextInput, Words, entitle
from vertui.screens.base import VertuiScreen, bound
from vertui.screens.measures import Measures
from vertui.screens.ranking import COLUMNS, Board, Ranked, ranked
from vertui.selection import ALIVE, Selection
from vertui.text import printable
from vertui.widgets.footer import KeyHints
from vertui.widgets.rows import RowList

AT_A_TIME = 8  # branches asked for their commands by one thread, before what it learnt is shown
ASK_AGAIN_S = 2.0  # between questions about one command that runs, however often its machine's figures change
DONE_HERE = (*DERIVED, "exec", "watch", "shell", "diff", "log", "trash")
KEYS = (
    ("{mark}", "mark"), ("{range}", "range"), ("%", "invert"), ("{sort} ←/→", "sort by"), ("{turn}", "turn round"),
    ("{score}", "score"), ("{promote}", "promote"), ("{prune}", "prune"), ("{watch}", "watch"), ("{diff}", "diff"),
    ("{undo}", "undo"), ("{filter}", "filter"), ("{freeze}", "freeze"), ("esc", "back"),
)  # fmt: skip


class Heading(Widget):
    """The columns' names; a click on one sorts by it."""

    class Clicked(Message):
        """On this place of the line."""

        def __init__(self, x: int) -> None:
            super().__init__()
            self.x = x

    def __init__(self) -> None:
        super().__init__(id="heading")
        self.line = Text()

    def render(self) -> Text:
        """One line."""
        return self.line

    def on_click(self, event: Click) -> None:
        """Say where."""
        self.post_message(self.Clicked(event.x))


class BoardScreen(VertuiScreen):
    """Of all branches, or of those that are named."""

    done_here = DONE_HERE
    BINDINGS: ClassVar[list[BindingType]] = [
        *(bound(action) for action in DONE_HERE),
        Binding("escape", "back", show=False),
        Binding("q", "app.pop_screen", show=False),
        bound("board", "app.pop_screen"),
        bound("mark", "mark"),
        bound("range", "range"),
        bound("freeze", "freeze"),
        bound("filter", "search"),
        bound("sort", "sort(1)"),
        bound("turn", "turn"),
        Binding("percent_sign", "invert", show=False),
        Binding("left", "sort(-1)", show=False, priority=True),
        Binding("right", "sort(1)", show=False, priority=True),
    ]

    def __init__(self, only: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._only = only
        self._list = RowList[Ranked](self._draw, lambda entry: entry.branch.id, id="board")
        self._heading = Heading()
        self._board = Board.of((), 0)
        self._ranked: list[Ranked] = []  # all, in order, those too that the filter hides
        self._sorted, self._turned = 0, False
        self._commands: dict[str, Command | None] = {}
        self._asked: dict[str, float] = {}
        self._marked: set[str] = set()
        self._from: str | None = None  # where a range begins
        self._filter, self._wrong = Filter(), ""
        self._line = TextInput(hint="words  !not  re:^b  state:run  score>0.5  age<10m", id="search")

    def compose(self) -> ComposeResult:
        """The columns' names, the list and its keys."""
        self._measures = Measures.of_app(self.vertui)
        self._measures.told = self._measured
        yield self._heading
        yield self._list
        yield self._line
        yield Words(id="said")
        yield KeyHints(*KEYS)

    def on_mount(self) -> None:
        """What is known already; then ask."""
        self.watch(self._list, "scroll_y", self._measure, init=False)
        self._list.focus()
        self._show()
        self._ask(branch.name for branch in self._branches)

    def on_unmount(self) -> None:
        """Nobody wants to know any more."""
        if self._measures.told == self._measured:  # no other has been opened since
            self._measures.want(())

    def on_resize(self, event: Resize) -> None:
        """Another width has other columns."""
        self.call_after_refresh(self._show)

    # -- what is shown ---------------------------------------------------------------------------------------

    def hear(self, news: News) -> None:
        """Follow the tree; what runs is asked about when its machine changed."""
        if not self.is_mounted:
            return
        if news.fresh:
            self._measures.again()
        told = {event.subject for event in news.events if event.kind == "branch"}
        if news.tree is not None:
            self._show()
        asked = time.monotonic() - ASK_AGAIN_S
        self._ask(
            branch.name
            for branch in self._branches
            if news.fresh
            or branch.name in told
            or (_runs(self._commands.get(branch.name)) and self._asked.get(branch.name, 0) < asked)
        )

    @property
    def _tree(self) -> Tree:
        return self.vertui.selection.tree

    @property
    def _branches(self) -> list[Branch]:
        return [branch for branch in self._tree.branches if not self._only or branch.name in self._only]

    def _show(self) -> None:
        entries = [
            Ranked(branch, self._commands.get(branch.name), self._measures.of(branch))
            for branch in self._branches
        ]
        self._marked &= {entry.branch.id for entry in entries}
        self._board = Board.of(entries, self._list.size.width - 1)
        self._ranked = ranked(entries, COLUMNS[self._sorted], self._turned)
        self._list.show(self._fitting())
        self._list.draw_anew()
        self._heading.line = self._board.heading(self._sorted, self._turned)
        self._heading.refresh(layout=True)
        self._title()
        self.call_after_refresh(self._measure)

    def _fitting(self) -> list[Ranked]:
        """Those that the filter shows."""
        self._wrong = ""
        if not self._filter.text:
            return self._ranked
        told = [told_of(entry.branch) for entry in self._ranked]
        found, self._wrong = select(self._filter, told, time.time())
        if CHANGED in self._filter.text:
            self._wrong = f"{CHANGED} is for the tree, which asks each disk"
        shown = {node.id for node in found}
        return [entry for entry in self._ranked if entry.branch.id in shown]

    def _title(self) -> None:
        marks = f" · {len(self._chosen)} marked" if self._chosen else ""
        entitle(self._list, f"scoreboard · {_branches(len(self._ranked))}{marks}")
        ends = BY_ID["range"].key_label
        goes_on = f"frozen: {BY_ID['freeze'].key_label} goes on" if self.vertui.frozen else ""
        below: Text | str = f"a range: {ends} ends it, esc forgets it" if self._from else goes_on
        if self._filter.text:
            below = f"/{self._filter.text} · {len(self._list.items)} of {_branches(len(self._ranked))}"
        entitle(self._list, below=Text(printable(self._wrong), style=theme.RED) if self._wrong else below)

    def _draw(self, entry: Ranked, width: int) -> Text:
        return self._board.draw(entry, width, marked=entry.branch.id in self._chosen, now=time.time())

    # -- what is asked ---------------------------------------------------------------------------------------

    def _ask(self, names: Iterable[str]) -> None:
        """Ask what the newest command of each is, some at a time."""
        alive = {branch.name for branch in self._tree.branches if branch.state in ALIVE}
        waiting, feed = [name for name in names if name in alive], self.vertui.watcher.feed
        if not waiting or feed is None:
            return
        some, rest = waiting[:AT_A_TIME], waiting[AT_A_TIME:]
        self._asked |= dict.fromkeys(some, time.monotonic())

        def work() -> dict[str, Command | None]:
            found = dict[str, Command | None]()
            for name in some:
                try:
                    found[name] = newest(feed.commands(name))
                except DaemonUnavailable:
                    raise  # all are asked when it is back
                except VertuiError:  # of one that went meanwhile, or does not answer, nothing is known
                    continue
            return found

        def told(found: dict[str, Command | None]) -> None:
            self._commands |= found
            self._show()
            self._ask(rest)

        self.ask(work, told)

    def _measure(self) -> None:
        """Look into what those on the screen changed."""
        top = self._list.scroll_offset.y
        self._measures.want([entry.branch for entry in self._list.items[top : top + self._list.size.height]])

    def _measured(self) -> None:
        if self.is_attached:
            self._show()

    # -- marks -----------------------------------------------------------------------------------------------

    @property
    def _chosen(self) -> set[str]:
        """The marked ones, with the range that is being made."""
        return self._marked | self._range

    @property
    def _range(self) -> set[str]:
        ids = [entry.branch.id for entry in self._list.items]
        if self._from is None or self._from not in ids:
            return set()
        first, last = sorted((ids.index(self._from), self._list.cursor))
        return {*ids[first : last + 1]}

    @property
    def selection(self) -> Selection:
        """What verbs act on."""
        branches = (entry.branch for entry in self._ranked)
        marked = tuple(branch for branch in branches if branch.id in self._chosen)
        current = self._list.current
        return Selection(
            self._tree, current.branch if current else None, marked, self.vertui.selection.connected,
            self.vertui.read_only,
        )  # fmt: skip

    def on_row_list_moved(self) -> None:
        """A range grows with the cursor."""
        if self._from is not None:
            self._list.draw_anew()
            self._title()

    def action_mark(self) -> None:
        """Mark the current one, or no longer, and go on."""
        if (current := self._list.current) is not None:
            self._mark(self._marked ^ {current.branch.id})
            self._list.action_move(1)

    def action_range(self) -> None:
        """Begin a range here, or mark what is in it."""
        current = self._list.current
        if self._from is not None:
            self._mark(self._chosen)
        elif current is not None:
            self._from = current.branch.id
            self._list.draw_anew()
            self._title()

    def action_invert(self) -> None:
        """Mark the others of those that are shown: with the winner marked, the losers; under a filter, all it shows."""
        self._mark(self._chosen ^ {entry.branch.id for entry in self._list.items})

    def _mark(self, marked: set[str]) -> None:
        self._marked, self._from = marked, None
        self._list.draw_anew()
        self._title()

    def action_back(self) -> None:
        """Leave the line; forget the range, then the marks, then the filter, then leave."""
        if self._line.has_focus:
            self._line.value = ""
            self.on_input_submitted()
        elif self._from is not None or self._marked:
            self._mark(set() if self._from is None else self._marked)
        elif self._filter.text:
            self._line.value = ""
        else:
            self.app.pop_screen()

    # -- filter ----------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Left and right are the line's while somebody types in it."""
        return action != "sort" or not self._line.has_focus

    def action_search(self) -> None:
        """Ask which are to be shown."""
        self._line.display = True
        self._line.focus()

    def on_input_changed(self, event: TextInput.Changed) -> None:
        """Filter as it is typed, as the tree does."""
        self._filter = parse(event.value)
        self._show()

    def on_input_submitted(self) -> None:
        """Keep it, and go back."""
        self._line.display = False
        self._list.focus()

    # -- keys ------------------------------------------------------------------------------------------------

    def action_sort(self, by: int) -> None:
        """Sort by another column."""
        self._sorted, self._turned = (self._sorted + by) % len(COLUMNS), False
        self._show()

    def action_freeze(self) -> None:
        """Hold it still, as the main screen."""
        self.vertui.perform("freeze", self.selection)
        self._show()

    def action_turn(self) -> None:
        """The last one first."""
        self._turned = not self._turned
        self._show()

    def on_heading_clicked(self, message: Heading.Clicked) -> None:
        """Sort by the column under the mouse, the second time turned over."""
        place = self._board.place_of(message.x)
        if place == self._sorted:
            self.action_turn()
        elif place is not None:
            self.action_sort(place - self._sorted)

    def on_row_list_chosen(self) -> None:
        """Enter, or a double click: watch it."""
        self.action_do("watch")

    def action_do(self, action: str) -> None:
        """An action of the registry, on what is marked here."""
        reason = BY_ID[action].refuse(self.selection)
        self.query_one("#said", Words).say(why := f"{BY_ID[action].label}: {reason}" if reason else "")
        self.tell_cut(why)
        if not reason:
            self.vertui.perform(action, self.selection)


def _branches(count: int) -> str:
    return "1 branch" if count == 1 else f"{count} branches"


def _runs(command: Command | None) -> bool:
    return command is not None and command.exit_code is None
