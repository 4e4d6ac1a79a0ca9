"""Shells in branches, a tab each. Leaving this screen leaves them as they are; it is opened again by the same key.

Whatever shells print is taken in slices between which the loop is free, so that keys are answered while one floods. A
shell that is not in view is read all the same.
"""

import asyncio
import time
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from core.errors import GuestFailed, UsageError
from vertui import theme
from vertui.actions import BY_ID, READ_ONLY
from vertui.base import BaseApp
from vertui.emulator.modes import Private
from vertui.login import shell_request
from vertui.messages import Printed
from vertui.plain import TextInput, Words, cut
from vertui.screens.base import VertuiScreen, bound
from vertui.text import counted, printable
from vertui.widgets.footer import KeyHints
from vertui.widgets.shell import Open, Shell, ShellStream
from vertui.widgets.tabs import TabBar
from vertui.widgets.terminal_pane import TerminalPane

NAME = "terminals"
ENVIRONMENT = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
MOST_SHELLS = 16  # each may keep 40 MB of what it printed
SLICE_S = 0.006  # taken in at once
PAUSE_S = 0.002  # for everything else, before the next slice
FRAME_S = 0.05  # between two drawings, while more comes
WHOLE_S = 0.1  # that a program may draw unseen: one that died meanwhile is seen as far as it came
BELL_S = 1.0  # between two bells: what rings without end is heard once a second
AROUND = 2  # rows of this screen beside the pane
MOST_OF_NAME = 48  # cells, with what stands before it

LIVE_KEYS = (
    ("ctrl+]", "back, it lives on"),
    ("shift+pgup", "read, search"),
    ("ctrl+pgup/dn", "tabs"),
)
READING_KEYS = (
    ("j/k", "scroll"),
    ("{filter}", "search"),
    ("n/N", "older, newer"),
    ("{shell}", "new shell"),
    ("esc", "go on"),
    ("ctrl+]", "back"),
)
ENDED_KEYS = (("⏎", "close this tab"), ("{shell}", "new shell"), ("k", "read"), ("ctrl+]", "back"))


class TerminalsScreen(VertuiScreen):
    """All open shells of one app. It stays installed, so that its shells are read while it is not shown."""

    AUTO_FOCUS = "#terminal"
    takes_keys = True
    BINDINGS: ClassVar[list[BindingType]] = [  # what a live pane lets through is in `terminal_pane.KEPT`
        Binding("ctrl+right_square_bracket", "leave", show=False),
        Binding("ctrl+pageup", "turn(-1)", show=False),
        Binding("ctrl+pagedown", "turn(1)", show=False),
        bound("filter", "search"),
        bound("shell", "another"),
        Binding("enter", "close_tab", show=False),
        Binding("escape", "end_search", show=False),
    ]

    def __init__(self, open_stream: Open | None = None) -> None:
        super().__init__()
        self._open_stream = open_stream or self._connect
        self.shells: list[Shell] = []
        self.current: Shell | None = None
        self._over: set[Shell] = set()  # those whose end has been told
        self.pane = TerminalPane(id="terminal")
        self._tabs = TabBar(id="tabs")
        self._end = Words(id="end")
        self._search = TextInput(hint="words to look for, upwards", id="search")
        self._keys = KeyHints(*LIVE_KEYS)
        self._word = ""
        self._shown: tuple[object, ...] = ()
        self._again: asyncio.TimerHandle | None = None
        self._painted = self._rang = 0.0
        self._whole_since: float | None = None  # a screen is being drawn that is to be seen whole

    def compose(self) -> ComposeResult:
        """Tabs, the pane, and the keys."""
        yield self._tabs
        yield self.pane
        yield self._end
        yield self._search
        yield self._keys

    # -- shells ------------------------------------------------------------------------------------------------

    def open(self, branch: str) -> None:
        """Show the newest shell in a branch that has not ended; start one if there is none."""
        found = [shell for shell in self.shells if shell.branch == branch and not shell.ended]
        if found:
            self._look_at(found[-1])
        else:
            self._start(branch)

    def _start(self, branch: str) -> None:
        if len(self.shells) >= MOST_SHELLS:
            self.vertui.fail(f"{MOST_SHELLS} shells are open: end one first")
            return
        size = self.pane.size if self.pane.size.height else self.app.size
        rows = size.height if self.pane.size.height else max(1, size.height - AROUND)
        shell = Shell(branch, self._open_stream, rows, max(1, size.width))
        shell.on_news = self._notify
        self.shells.append(shell)
        shell.start()
        self._look_at(shell)

    def _look_at(self, shell: Shell) -> None:
        self.current, self._word = shell, ""
        shell.unread = False
        self.pane.look_at(shell)
        self._show_state()

    def _notify(self) -> None:
        self.post_message(Printed())

    def _connect(self, shell: Shell, again: bool) -> ShellStream:
        """Start a shell, or go on with it: never start it twice."""
        from core.daemon import streams

        if self.vertui.read_only:
            raise UsageError(READ_ONLY)

        endpoint = self.vertui.endpoint
        if shell.command is not None:
            return streams.attach(
                endpoint, shell.branch, shell.command, shell.offset, owner=True, stdin=shell.stdin
            )
        if again:
            raise GuestFailed("the daemon went away as the shell was started: open another")
        emulator = shell.emulator
        request = shell_request(shell.branch, ENVIRONMENT, emulator.rows, emulator.columns, lossless=True)
        return streams.run(endpoint, request, shell.stdin)

    def on_unmount(self) -> None:
        """The app ends, and its shells are hung up on, as a terminal's are that is closed."""
        if self._again is not None:
            self._again.cancel()
        for shell in self.shells:
            shell.close()

    # -- what they print ---------------------------------------------------------------------------------------

    def on_printed(self) -> None:
        """Take in a slice of what each has printed, and draw it; then again, while there is more."""
        if self._again is not None:
            return
        more, share = False, SLICE_S / max(1, len(self.shells))
        for shell in self.shells:
            more = shell.take_in(time.monotonic() + share) or more
        now = time.monotonic()
        if self.is_current and not self._waits(now) and (not more or now - self._painted >= FRAME_S):
            self._painted = now
            more = self.pane.paint() or more
        self._ring(now)
        self._tell_ends()
        self._show_state()
        if more:
            self._again = asyncio.get_running_loop().call_later(PAUSE_S, self._go_on)

    def _waits(self, now: float) -> bool:
        """Is the program drawing what it wants to be seen whole, and has not drawn for too long?"""
        if (
            self.current is None
            or self.current.ended
            or not self.current.emulator.modes.on(Private.SYNCHRONIZED)
        ):
            self._whole_since = None
            return False
        if self._whole_since is None:
            self._whole_since = now
            asyncio.get_running_loop().call_later(WHOLE_S, self._notify)
        return now - self._whole_since < WHOLE_S

    def _go_on(self) -> None:
        self._again = None
        self._notify()

    def _tell_ends(self) -> None:
        """Say where the user is that a shell has ended which is not in view."""
        for shell in self.shells:
            if shell.ended and shell not in self._over:
                self._over.add(shell)
                if not self.is_current:
                    self.vertui.say(_end_of(shell).plain)

    def _ring(self, now: float) -> None:
        bells = [shell for shell in self.shells if shell.emulator.bells]
        for shell in bells:
            shell.emulator.bells = 0
        if bells and now - self._rang >= BELL_S:
            self._rang = now
            self.app.bell()

    # -- what is said of them ----------------------------------------------------------------------------------

    def _show_state(self) -> None:
        """Tabs, end and keys, where one of them has changed."""
        shell = self.current
        if shell is not None and self.is_current:
            shell.unread = False
        states = tuple(
            (one.branch, one.exit_code, one.error, one.away, one.unread, one.ended) for one in self.shells
        )
        shown = (states, shell, self._said, self.pane.reading)
        if shown == self._shown or not self.is_mounted:
            return
        self._shown = shown
        self._tabs.show(self.shells, shell, self._said)
        ended = shell is not None and shell.ended
        self._end.display = ended
        if shell is not None and ended:
            self._end.say(_end_of(shell))
        self._keys.become(*(READING_KEYS if self.pane.reading else ENDED_KEYS if ended else LIVE_KEYS))

    @property
    def _said(self) -> str:
        """A word about the shell in view."""
        shell = self.current
        if shell is not None and shell.away:
            return "not connected: it goes on when the daemon is back"
        return self._word or (shell.emulator.title if shell is not None else "")

    def _say(self, word: str) -> None:
        self._word = word
        self._show_state()

    def on_mount(self) -> None:
        """What was opened before there was anything to show it on."""
        self._end.display = self._search.display = False
        self._show_state()

    def on_screen_resume(self) -> None:
        """Show what came meanwhile."""
        self.pane.refresh()
        self._show_state()

    def on_terminal_pane_view_changed(self, message: TerminalPane.ViewChanged) -> None:
        """The pane reads, is live again, or has copied something."""
        if message.copied:
            self._say(f"copied {counted(message.copied, 'character')}")
        else:
            up = self.pane.rows_up
            self._say(f"reading {counted(up, 'row')} up, the shell goes on" if self.pane.reading else "")

    def on_terminal_pane_not_taken(self) -> None:
        """Too much was pasted."""
        self._say("not taken: too much waits to be read. Use `vertui cp` for files")

    # -- keys --------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key means something only where what it does can be done."""
        ended = self.current is not None and self.current.ended
        reading, searching = self.pane.reading, self._search.has_focus
        possible = {
            "search": reading, "another": reading or ended, "close_tab": ended, "end_search": searching,
        }  # fmt: skip
        return possible.get(action, True)

    def action_leave(self) -> None:
        """Back to where this was opened from. The shells live on."""
        self.action_end_search()
        if self.current is not None and not self.current.ended:
            again = f"lives on: {BY_ID['shell'].key_label} shows it again"
            self.vertui.say(f"the shell in {printable(self.current.branch)} {again}")
        self.app.pop_screen()

    def action_turn(self, by: int) -> None:
        """The next tab, or the one before."""
        if self.current in self.shells:
            self._look_at(self.shells[(self.shells.index(self.current) + by) % len(self.shells)])

    def action_another(self) -> None:
        """Another shell in the same branch."""
        if self.current is not None:
            self._start(self.current.branch)

    def action_close_tab(self) -> None:
        """Close the tab of a shell that has ended; the last one leaves the screen too."""
        if self.current is None:
            return
        place = self.shells.index(self.current)
        self.current.close()
        self._over.discard(self.current)
        del self.shells[place]
        if self.shells:
            self._look_at(self.shells[min(place, len(self.shells) - 1)])
        else:
            self.current = None
            self.pane.look_at(None)
            self.app.pop_screen()

    def on_tab_bar_tab_chosen(self, message: TabBar.TabChosen) -> None:
        """A tab was clicked."""
        if message.place < len(self.shells):
            self._look_at(self.shells[message.place])
        else:
            self.action_another()

    def action_search(self) -> None:
        """Ask for words."""
        self._search.display = True
        self._search.focus()

    def on_input_submitted(self, event: TextInput.Submitted) -> None:
        """Go to them."""
        found = self.pane.look_for(event.value)
        self.action_end_search()
        self._say("" if found else f"{event.value} is not there")

    def action_end_search(self) -> None:
        """Put the field away."""
        self._search.display = False
        self.pane.focus()


def _end_of(shell: Shell) -> Text:
    """The line under a shell that has ended. However long a name is, there is room for the reason."""
    where = cut(Text(f"the shell in {printable(shell.branch)}"), MOST_OF_NAME)
    if shell.error is not None:
        return Text(f"{where} is gone: {printable(str(shell.error))}", theme.RED)
    return Text(f"{where} ended: exit {shell.exit_code}", theme.RED if shell.exit_code else theme.MUTED)


def open_shell(app: BaseApp, branch: str) -> None:
    """Show a shell in a branch: the one that is open there, else a new one."""
    if not app.is_screen_installed(NAME):
        app.install_screen(TerminalsScreen(), NAME)
    screen = app.get_screen(NAME, TerminalsScreen)
    app.push_screen(screen)
    screen.open(branch)
