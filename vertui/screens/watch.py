"""The watch grid: the newest commands of several branches, live and side by side.

What is watched outlasts the screen: opened again, each pane goes on from where it was.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import IO, ClassVar, cast

from msgspec.structs import replace
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid
from textual.events import DescendantFocus
from textual.message import Message

from core.errors import VertuiError
from core.model import Command, ExecRequest, new_key
from vertui.actions import BY_ID
from vertui.base import TOAST_S
from vertui.feed import Feed, News
from vertui.guest_text import clean
from vertui.messages import Printed
from vertui.plain import TextInput, Words, toast
from vertui.screens.base import SCROLL_KEYS, VertuiScreen, bound, changing
from vertui.screens.dialogs import Answers
from vertui.screens.exec import exec_form, exec_of
from vertui.screens.grid import arrange
from vertui.screens.saving import save_as
from vertui.text import counted
from vertui.widgets.footer import KeyHints
from vertui.widgets.pace import Pace
from vertui.widgets.pane import OutputPane
from vertui.widgets.watched import WatchedCommand

INTERRUPT = 2
AT_ONCE = 3  # panes drawn together: nine are drawn ten times a second
FRAME_S = 0.03  # until the next of them
MOST_KEPT = 72  # branches whose output stays when the screen is left
KEYS = (
    ("⏎", "zoom"), ("tab", "next"), ("{freeze}", "hold"), ("{filter}", "search"), ("a", "type to all"),
    ("{exec}", "exec"), ("j/k", "scroll"), ("ctrl+c", "interrupt"), ("C", "clocks"), ("ctrl+s", "save"),
    ("n/N", "found before, after"), ("esc", "back"),
)  # fmt: skip
Typed = Callable[[str], None]


class PaneGrid(Grid):
    """Where the panes stand; says when it has another room."""

    class Sized(Message):
        """It has."""

    def on_resize(self) -> None:
        """Say so."""
        self.post_message(self.Sized())


class WatchScreen(VertuiScreen):
    """Leaving it leaves all commands running."""

    AUTO_FOCUS = "OutputPane"
    BINDINGS: ClassVar[list[BindingType]] = [
        *SCROLL_KEYS,
        Binding("escape,q", "back", show=False),
        bound("watch", "app.pop_screen"),
        Binding("tab,l,right", "turn(1)", show=False),
        Binding("shift+tab,h,left", "turn(-1)", show=False),
        Binding("enter", "zoom", show=False),
        bound("freeze", "hold"),
        *(Binding(str(number), f"go_to_pane({number})", show=False) for number in range(1, 9)),
        Binding("C", "clocks", show=False),
        bound("filter", "search"),
        Binding("n", "find(-1)", show=False),
        Binding("N", "find(1)", show=False),
        Binding("a", "type", show=False),
        bound("exec", "exec"),
        Binding("ctrl+s", "save", show=False, priority=True),
        Binding("ctrl+c", "interrupt", show=False, priority=True),
    ]

    def __init__(self, branches: tuple[str, ...], start: ExecRequest | None = None) -> None:
        super().__init__()
        self._branches, self._start = branches, start
        self._panes: list[OutputPane] = []
        self._at = 0
        self._pace = Pace(self, self._draw, FRAME_S)
        self._page = ""  # what is said of the page that is shown
        self._next = 0  # the pane that is looked at first then
        self._typed: Typed | None = None  # what is done with the line that is typed

    def compose(self) -> ComposeResult:
        """A pane a branch, a line to type in, a word, the keys."""
        kept = cast(dict[str, WatchedCommand], self.vertui.kept.setdefault("watched", {}))
        for branch in self._branches:
            kept[branch] = kept.pop(branch) if branch in kept else WatchedCommand(branch)
        for branch in list(kept)[: max(0, len(kept) - MOST_KEPT)]:
            if branch not in self._branches:
                del kept[branch]
        self._panes = [OutputPane(kept[branch]) for branch in self._branches]
        with PaneGrid(id="grid"):
            yield from self._panes
        yield TextInput(id="typed")
        yield Words(id="said")
        yield KeyHints(*KEYS)

    def on_mount(self) -> None:
        """Follow, or start what is to be started."""
        if self._start is not None:
            self._run(self._start)
        else:
            self._look(self._branches)

    def on_unmount(self) -> None:
        """Follow no more; the commands run on."""
        for pane in self._panes:
            pane.watched.leave()

    # -- what comes ------------------------------------------------------------------------------------------

    def hear(self, news: News) -> None:
        """A branch may have a command that is newer, or a machine again."""
        told = {event.subject for event in news.events if event.kind == "branch"}
        self._look([branch for branch in self._branches if news.fresh or branch in told])

    def on_printed(self) -> None:
        """Look at what came."""
        self._pace.ask()

    def _draw(self) -> None:
        """Show what came to panes in view, some at a time: a key is answered before the others."""
        left = AT_ONCE
        for pane in (*self._panes[self._next :], *self._panes[: self._next]):
            if not left:
                self._next = self._panes.index(pane)
                self._pace.ask()
                return
            if pane.watched.take() and pane.display:
                pane.update()
                left -= 1

    def _look(self, branches: Iterable[str]) -> None:
        """Ask each what its newest command is."""
        feed, asked = self.vertui.watcher.feed, {*branches}
        if feed is None:
            return
        for pane in self._panes:
            if (branch := pane.watched.branch) in asked:
                told, failed = partial(self._told, feed, pane), partial(self._not_told, pane)
                self.ask(partial(feed.commands, branch), told, failed)

    def _told(self, feed: Feed, pane: OutputPane, commands: list[Command]) -> None:
        pane.watched.look(feed, commands, self._notify)
        pane.update()

    def _not_told(self, pane: OutputPane, error: VertuiError) -> None:
        pane.watched.fail(error)
        pane.update()

    def _run(self, request: ExecRequest) -> None:
        feed = self.vertui.watcher.feed
        if feed is None:
            return
        for pane in self._panes:
            own = replace(request, branch=pane.watched.branch, outlives=True, key=new_key())
            pane.watched.run(feed, own, self._notify)
            pane.update()

    def _notify(self) -> None:
        self.post_message(Printed())

    # -- the grid --------------------------------------------------------------------------------------------

    @property
    def zoomed(self) -> bool:
        """Does one pane have all the room?"""
        return self.has_class("-zoomed")

    @property
    def _pane(self) -> OutputPane:
        return self._panes[self._at]

    def on_pane_grid_sized(self) -> None:
        """Another room, another grid."""
        self._arrange()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """A click on a pane chooses it."""
        if isinstance(event.widget, OutputPane):
            self._at = self._panes.index(event.widget)

    def _arrange(self) -> None:
        """Show the page that the chosen pane is on."""
        grid = self.query_one(PaneGrid)
        columns, rows = (1, 1) if self.zoomed else arrange(len(self._panes), *grid.size)
        page = self._at // (columns * rows)
        for index, pane in enumerate(self._panes):
            pane.display = index // (columns * rows) == page
            if pane.display:
                pane.update()
        grid.styles.grid_size_columns, grid.styles.grid_size_rows = columns, rows
        if not self._typing:
            self._pane.focus()
        pages = -(-len(self._panes) // (columns * rows))
        told = (
            f"{len(self._panes)} branches, page {page + 1} of {pages}"
            if pages > 1 and not self.zoomed
            else ""
        )
        if told != self._page:  # a line that opens changes the room too, and what was said of it stays
            self._page = told
            self._say(told)

    def action_turn(self, by: int) -> None:
        """Choose the next pane, or the one before."""
        self._at = (self._at + by) % len(self._panes)
        if self._pane.display:
            self._pane.focus()
        else:
            self._arrange()

    def action_go_to_pane(self, number: int) -> None:
        """Choose the pane of that number."""
        if number <= len(self._panes):
            self.action_turn(number - 1 - self._at)

    def action_zoom(self) -> None:
        """All the room for one, or back to the grid."""
        self.toggle_class("-zoomed")
        self._arrange()

    def on_output_pane_entered(self) -> None:
        """A double click."""
        self.action_zoom()

    def action_back(self) -> None:
        """Leave the line, the zoom or the screen."""
        if self._typing:
            self._close_line()
        elif self.zoomed:
            self.action_zoom()
        else:
            self.app.pop_screen()

    # -- looking back ----------------------------------------------------------------------------------------

    def action_scroll_rows(self, by: int) -> None:
        """Scroll the chosen pane."""
        self._pane.watched.move(by)
        self._pane.update()

    def action_scroll_pages(self, by: int) -> None:
        """Scroll it by what is in view."""
        self.action_scroll_rows(by * max(1, self._pane.size.height - 1))

    def action_scroll_edge(self, last: int) -> None:
        """Go to the first line there is, or follow."""
        watched = self._pane.watched
        watched.hold(None if last else watched.kept.start)
        self._pane.update()

    def action_hold(self) -> None:
        """Hold all panes still, or let all follow."""
        hold = all(pane.watched.held is None for pane in self._panes)
        for pane in self._panes:
            pane.watched.hold(pane.watched.kept.end - 1 if hold and pane.watched.kept.end else None)
            pane.update()

    def action_clocks(self) -> None:
        """Say when each line came, or no more."""
        for pane in self._panes:
            pane.clocks = not pane.clocks
            pane.update()

    # -- searching -------------------------------------------------------------------------------------------

    def action_search(self) -> None:
        """Ask for words, and go to the last line that has them."""
        self._open_line("words to look for, in whatever case", self._search, self._pane.words)

    def action_find(self, way: int) -> None:
        """Go to the line with the words before, or after."""
        pane = self._pane
        if not pane.words:
            self._say(f"{BY_ID['filter'].key_label} looks for words")
            return
        kept, held, words = pane.watched.kept, pane.watched.held, pane.words.encode()
        here = (kept.end if held is None else held) - (held is not None)
        find = partial(kept.find, words, here) if way < 0 else partial(kept.find_after, words, here)
        self.ask(find, partial(self._found, pane))

    def _search(self, words: str) -> None:
        for pane in self._panes:
            pane.words = words
            pane.update()
        self._pane.watched.hold(None)
        if words:
            self.action_find(-1)

    def _found(self, pane: OutputPane, line: int | None) -> None:
        if line is None:
            self._say(f"no more lines with {pane.words}")
            return
        self._say("n the one before, N the one after")
        pane.watched.hold(line)
        pane.update()

    # -- typing into commands, and more ----------------------------------------------------------------------

    @changing
    def action_type(self) -> None:
        """Ask for a line that all commands get, or the zoomed one."""
        who = self._pane.watched.branch if self.zoomed else "all"
        self._open_line(f"a line that {who} get{'s' if self.zoomed else ''} as input", self._send)

    def _send(self, line: str) -> None:
        panes, data = [self._pane] if self.zoomed else self._panes, line.encode(errors="replace") + b"\n"

        def work() -> list[str]:
            return [one.branch for one in (pane.watched for pane in panes) if not one.write(data)]

        def told(deaf: list[str]) -> None:
            taken = f"{len(panes) - len(deaf)} of {len(panes)} took it"
            self._say(
                f"{taken}; {', '.join(deaf[:8])} take{'s' * (len(deaf) == 1)} no input" if deaf else taken
            )

        self.ask(work, told, lambda error: self._say(f"not typed: {error}"))

    @changing
    def action_interrupt(self) -> None:
        """Interrupt what runs here, or the zoomed one."""
        panes = [self._pane] if self.zoomed else self._panes

        def work() -> None:
            for pane in panes:
                pane.watched.signal(INTERRUPT)

        self.vertui.ask(work, failed=lambda error: self.vertui.fail(f"not interrupted: {error}"))

    @changing
    def action_exec(self) -> None:
        """Run another command in all of them."""

        def go(answers: Answers | None) -> None:
            if answers is not None:
                self._run(exec_of(self.vertui, answers))

        self.app.push_screen(exec_form(self.vertui, self._branches), go)

    def action_save(self) -> None:
        """Save the chosen pane's lines."""
        watched = self._pane.watched

        def told(where: str, count: int) -> None:
            toast(self.app, f"{where}, {counted(count, 'line')}", TOAST_S, error=False)

        name, title = f"{watched.branch}-{watched.id or 0}.log", f"save what {watched.branch} printed"
        save_as(self.vertui, title, name, partial(_write, watched), told)

    # -- the line to type in ---------------------------------------------------------------------------------

    @property
    def _typing(self) -> bool:
        return self._typed is not None

    def _open_line(self, hint: str, done: Typed, value: str = "") -> None:
        line = self.query_one("#typed", TextInput)
        line.begin(value, hint)
        self._typed = done
        self.add_class("-typing")
        line.focus()

    def _close_line(self) -> None:
        self._typed = None
        self.remove_class("-typing")
        self._pane.focus()

    def on_input_submitted(self, event: TextInput.Submitted) -> None:
        """Enter."""
        done, self._typed = self._typed, None
        self._close_line()
        if done is not None:
            done(event.value)

    def _say(self, text: str) -> None:
        self.query_one("#said", Words).say(text)


def _write(watched: WatchedCommand, out: IO[bytes]) -> int:
    """Write the lines there are; how many."""
    kept = watched.kept
    lines = [clean(line.data.decode(errors="replace")) for line in kept.lines(kept.start, kept.end)]
    out.write("".join(f"{line}\n" for line in lines).encode())
    return len(lines)
