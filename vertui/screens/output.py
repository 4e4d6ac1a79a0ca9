"""The output of one command in one or many branches: a column each while they fit, else a prefix a line."""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from core.errors import GuestFailed
from core.model import ExecRequest
from vertui import theme
from vertui.feed import Offsets
from vertui.messages import Printed
from vertui.plain import entitle
from vertui.screens.base import SCROLL_KEYS, VertuiScreen
from vertui.text import printable
from vertui.widgets.follower import Tail
from vertui.widgets.footer import KeyHints
from vertui.widgets.lines import LineView

if TYPE_CHECKING:
    from core.daemon.streams import Stream

COLUMN_WIDTH = 38  # narrower columns fold every other line of common output
INTERRUPT = 2
RUNNING_KEYS = (("j/k", "scroll"), ("ctrl+c", "interrupt"), ("esc", "back, the command runs on"))
ENDED_KEYS = (("j/k", "scroll"), ("esc", "back"))


class OutputScreen(VertuiScreen):
    """Runs the command when it opens. Leaving it leaves the command running; ctrl+c interrupts it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *SCROLL_KEYS,
        Binding("escape,q", "app.pop_screen", show=False),
        Binding("ctrl+c", "interrupt", show=False, priority=True),
    ]

    def __init__(self, branches: tuple[str, ...], command: str, width: int) -> None:
        super().__init__()
        self._branches, self._command = branches, command
        self._shown = [printable(branch) for branch in branches]
        self._in_columns = len(branches) * COLUMN_WIDTH <= width
        self._streams: dict[str, Stream] = {}  # the newest of each
        self._followers: dict[str, Tail] = {}
        self._ended: set[str] = set()

    def compose(self) -> ComposeResult:
        """A pane a branch, or one for all."""
        with Horizontal(id="outputs"):
            for index in range(len(self._branches) if self._in_columns else 1):
                yield LineView(follow=True, id=f"output{index}")
        yield KeyHints(*RUNNING_KEYS)

    def on_mount(self) -> None:
        """Start the command everywhere."""
        for branch in self._branches:
            self._followers[branch] = Tail(partial(self._open, branch), self._notify)
            self._followers[branch].start()
        self._show_titles()

    def on_unmount(self) -> None:
        """Follow no more; the commands run on."""
        for follower in self._followers.values():
            follower.close()

    def on_printed(self) -> None:
        """Take what came from each."""
        for index, (branch, follower) in enumerate(self._followers.items()):
            ended = follower.ended  # before the last lines are taken: none may come after the end is said
            lines = [self._line(index, line) for line in follower.take()]
            if ended and branch not in self._ended:
                self._ended.add(branch)
                lines.append(self._line(index, "").append_text(_end(follower)))
            rest = self._line(index, follower.rest) if follower.rest and self._in_columns else None
            self._pane(index).append(lines, rest)
        if len(self._ended) == len(self._branches):
            self.query_one(KeyHints).become(*ENDED_KEYS)
        self._show_titles()

    def action_interrupt(self) -> None:
        """Interrupt what still runs."""
        running = [stream for branch, stream in self._streams.items() if branch not in self._ended]

        def work() -> None:
            for stream in running:
                stream.signal(INTERRUPT)

        self.vertui.ask(work, failed=lambda error: self.vertui.fail(f"not interrupted: {error}"))

    def scrolled(self) -> Iterable[Widget]:
        """All panes together."""
        return self.query(LineView)

    def _open(self, branch: str, offsets: Offsets) -> "Stream":
        """Run the command, or go on with it: never run it twice."""
        from core.daemon import streams

        command = self._followers[branch].command
        if command is not None:
            stream = streams.attach(self.vertui.endpoint, branch, command, *offsets)
        elif branch in self._streams:
            raise GuestFailed("the daemon went away as the command was started: it may have run")
        else:
            stream = streams.run(self.vertui.endpoint, ExecRequest(branch, (self._command,), outlives=True))
        self._streams[branch] = stream
        return stream

    def _notify(self) -> None:
        self.post_message(Printed())

    def _pane(self, index: int) -> LineView:
        return self.query_one(f"#output{index if self._in_columns else 0}", LineView)

    def _line(self, index: int, line: str) -> Text:
        if self._in_columns:
            return Text(line, style=theme.TEXT)
        width = max(map(len, self._shown))
        colour = theme.PREFIXES[index % len(theme.PREFIXES)]
        return Text.assemble((f"{self._shown[index]:<{width}} │ ", colour), (line, theme.TEXT))

    def _show_titles(self) -> None:
        states = [
            Text.assemble((f"{branch} ", f"bold {theme.BRIGHT}"), _mark(follower))
            for branch, follower in zip(self._shown, self._followers.values(), strict=True)
        ]
        if self._in_columns:
            for index, state in enumerate(states):
                entitle(self._pane(index), state)
        else:
            entitle(self._pane(0), Text("  ").join(states))
        entitle(self._pane(0), below=Text(f"$ {printable(self._command)}", style=theme.MUTED))


def _mark(follower: Tail) -> tuple[str, str]:
    if follower.away:
        return "◌ not connected", theme.GOLD
    if not follower.ended:
        return "●", theme.GREEN
    return ("✓", theme.MUTED) if follower.exit_code == 0 else ("✗", theme.RED)


def _end(follower: Tail) -> Text:
    """The line after the last."""
    if follower.error is not None:
        return Text(printable(str(follower.error)), style=theme.RED)
    lost = f", {follower.lost_bytes} bytes of output were dropped" if follower.lost_bytes else ""
    return Text(f"exit {follower.exit_code}{lost}", style=theme.RED if follower.exit_code else theme.MUTED)
