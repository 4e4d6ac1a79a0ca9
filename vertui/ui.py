"""The terminal UI: one app over one home. Threads call the daemon and post messages; only handlers touch widgets."""

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from functools import partial

from textual.filter import LineFilter
from textual.screen import Screen
from textual.widget import Widget

from core.daemon.endpoint import Endpoint
from core.errors import VertuiError
from core.model import Event
from core.patience import patient
from vertui import theme, themes
from vertui.actions import BY_ID
from vertui.base import LONG_S, TOAST_S, BaseApp, told
from vertui.explain import WordProvider
from vertui.feed import Feed, News
from vertui.heeding import heed_hang_up, heeded
from vertui.looks import look_of, look_so
from vertui.palette import ActionProvider
from vertui.plain import toast
from vertui.remembered import ScreenLook
from vertui.screens.base import Dialog, VertuiScreen
from vertui.screens.main import MainScreen
from vertui.selection import NOTHING, Node, Selection
from vertui.widgets.footer import KeyHints

OWN = ("quit", "command_palette")
SWITCH_S = 0.001  # that a thread keeps the others waiting: a key's way to the screen may wait some ten times
GARBAGE = 10_000  # objects until garbage is looked for: a screen drawn anew makes some thousands
TROUBLE_S = 12.0  # what is wrong with a file of the user's is to be read whole
TERMINAL = 0  # the descriptor that keys come from
LEAVE_S = 3.0  # for the terminal to be put back, after a signal


def trouble_of(news: News) -> str:
    """Why nothing comes, and what helps; empty while all is well."""
    if news.error is None:
        return ""
    return told(news.error) if news.stopped else f"{news.error}; trying again…"


class VertuiApp(BaseApp):
    """vertui's terminal UI."""

    CSS_PATH = "theme.tcss"
    TITLE = "vertui"
    COMMANDS = {ActionProvider, WordProvider}  # noqa: RUF012 (Textual's own shape)

    def __init__(
        self, endpoint: Endpoint, open_feed: Callable[[], Feed] | None = None, *, read_only: bool = False
    ) -> None:
        super().__init__(endpoint, open_feed, read_only=read_only)
        self._recolour: list[LineFilter] = []
        self._looked: ScreenLook | None = None  # as it was kept last; None until it is as it was left
        for one in themes.THEMES:  # before the stylesheet, which uses their variables, is read
            self.register_theme(themes.textual_theme(one))
        self.wear(themes.BY_NAME.get(self.remembered.read().theme, themes.FIRST))
        self.set_keymap(self.keymap.keys)
        self.main = MainScreen()
        self.died: Exception | None = None
        self._heeding = ExitStack()

    def get_default_screen(self) -> MainScreen:
        """The main screen."""
        return self.main

    def on_mount(self) -> None:
        """Show a frame first, then look for the daemon."""
        if not self.is_headless:
            self._end_on_signals()
        if troubles := [*filter(None, (self.remembered.trouble,)), *self.keymap.problems]:
            more = (
                f" ({len(troubles) - 1} more: {BY_ID['help'].key_label} lists them)" if troubles[1:] else ""
            )
            toast(self, troubles[0] + more, TROUBLE_S)
        self.call_after_refresh(self._start_watching)

    def _start_watching(self) -> None:
        sys.setswitchinterval(SWITCH_S)
        gc.freeze()  # what was made so far lives as long as the app: no collection need look at it again
        gc.set_threshold(GARBAGE)
        gc.enable()
        self.watcher.start()

    def on_unmount(self) -> None:
        """Follow no more."""
        self.watcher.stop()
        self._heeding.close()
        if self._looked is not None:
            with suppress(VertuiError):
                self.remembered.keep(self._look)

    # -- how it looks ----------------------------------------------------------------------------------------

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's hook for what changes all that is shown, as it leaves for the terminal."""
        if self.no_color:
            return [themes.COLOURLESS]
        if self.worn is themes.SIXTEEN:  # a guest's own sixteen are the terminal's too
            return self._recolour
        return [*super().get_line_filters(), *self._recolour]

    def wear(self, worn: themes.ColourTheme) -> None:
        """Show everything in these colours from now on."""
        filter = themes.filter_of(worn)
        self.worn, self._recolour = worn, [filter] if filter else []
        self.theme = worn.name
        for screen in self._screens_there if self.is_running else ():
            for widget in screen.walk_children(Widget, with_self=True):
                widget.notify_style_update()
                widget.refresh()

    @property
    def _look(self) -> ScreenLook:
        """How the screen is now, to be found so again."""
        return look_of(self, self.main, self.worn.name)

    @property
    def _screens_there(self) -> Iterable[Screen[object]]:
        """All of them, also those that are not shown."""
        installed = (one for one in self._installed_screens.values() if isinstance(one, Screen))
        return {*self.screen_stack, *installed}

    def look_as_left(self) -> None:
        """Show everything as it was when it was left."""
        look_so(self, self.main, self.remembered.kept)
        self._looked = self._look

    def picture(self) -> None:
        """Save what is on the screen, in a new file."""
        from vertui.picture import take_picture

        take_picture(self)

    def action_picture(self) -> None:
        """The same, by its key on other screens."""
        self.picture()

    # -- news ------------------------------------------------------------------------------------------------

    def on_arrived(self) -> None:
        """Give the news to every screen."""
        news = self.watcher.take()
        if news.tree is not None and self.main.shown is NOTHING:  # most of it stays, too
            self.call_after_refresh(gc.freeze)
        self.trouble = trouble_of(news)
        for screen in self.screen_stack:
            if isinstance(screen, VertuiScreen | Dialog):
                screen.hear(news)
            for hints in screen.query(KeyHints):
                hints.trouble = self.trouble
        self._show_lasting()

    # -- from the beginning to the end -------------------------------------------------------------------------

    def live(self) -> int:
        """Run until the user leaves: the exit status. What it died of is raised, with the terminal put back."""
        self.run()
        if self.died is not None:
            raise self.died
        return self.return_code or 0

    def _handle_exception(self, error: Exception) -> None:
        """Textual's hook for what nobody caught: end, and leave it to whoever runs the app to say so in one line."""
        super()._handle_exception(error)
        self.died = self.died or error
        if os.environ.get("VERTUI_DEBUG") != "1":
            self._exit_renderables.clear()

    def _end_on_signals(self) -> None:
        """Put the terminal back before a signal ends us. One that is gone, or takes nothing more, is not waited for:
        Textual's loop would wait for it for ever. A terminal's end is as good as a signal.
        """
        loop = asyncio.get_running_loop()

        def end(number: signal.Signals) -> None:
            at_last = threading.Timer(patient(LEAVE_S), os._exit, [128 + number])
            at_last.daemon = True
            at_last.start()
            loop.call_soon_threadsafe(partial(self.exit, return_code=128 + number))

        self._heeding.enter_context(heeded((signal.SIGTERM, signal.SIGHUP), end))
        if os.isatty(TERMINAL):
            heed_hang_up(TERMINAL, partial(end, signal.SIGHUP))

    # -- what screens ask for ----------------------------------------------------------------------------------

    @property
    def selection(self) -> Selection:
        """What verbs act on."""
        return self.main.selection

    @property
    def frozen(self) -> bool:
        """Is what is shown held still?"""
        return self.main.frozen

    @property
    def progress(self) -> Event | None:
        """How far it is what somebody waits for, if it takes long and says so."""
        return self.main.event_line.progress

    def say(self, text: str, colour: str = theme.GOLD) -> None:
        """A word in the event line."""
        self.main.say(text, colour)

    def show_jobs(self, jobs: tuple[str, ...]) -> None:
        """Say what runs."""
        self.main.show_jobs(jobs)
        self._show_lasting()
        if jobs:
            self.set_timer(LONG_S, self._show_lasting)

    def _show_lasting(self) -> None:
        """Where the event line is covered what takes long is said beside the keys."""
        for screen in self.screen_stack:
            if isinstance(screen, VertuiScreen) and not screen.says_jobs:
                for hints in screen.query(KeyHints):
                    hints.jobs = self.lasting

    def act(self, action: str) -> None:
        """Do an action on what is selected, or say why it cannot be."""
        self.main.act(action)

    def perform(self, action: str, selection: Selection) -> None:
        """Do an action that can be done. The dialogs are imported here, after the first frame."""
        from vertui.verbs import Verbs

        Verbs(self, self.main).act(action, selection)
        if (look := self._look) != self._looked:
            self._looked = look
            self.ask(partial(self.remembered.keep, look), failed=lambda error: self.say(str(error)))

    def show_then(self, operation: int) -> None:
        """Show the tree as it was when an operation had ended, on the main screen."""
        while self.screen is not self.main:
            self.pop_screen()
        self.main.scrub.go(operation)

    def go_to_node(self, node: Node) -> None:
        """Put the cursor of the main screen on a node, whatever filter hides it, and show that screen."""
        while self.screen is not self.main:
            self.pop_screen()
        self.main.scrub.leave()
        if not self.main.tree_view.go_to_node(node):
            self.main.filter_by("")
            self.main.tree_view.go_to_node(node)

    def show_keys(self, hints: Iterable[tuple[str, str]]) -> None:
        """Show keys and what they do."""
        from vertui.screens.reading import keys_dialog

        self.push_screen(keys_dialog(hints))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Textual's own keys, ctrl+q and ctrl+p, are a program's where a program gets the keys."""
        taken = isinstance(self.screen, VertuiScreen) and self.screen.takes_keys
        return not (taken and action in OWN) and super().check_action(action, parameters)

    def action_help_quit(self) -> None:
        """Ctrl-C, which is not for leaving: Textual would name a key of its own."""
        toast(self, f"{BY_ID['quit'].key_label} leaves; machines run on", TOAST_S, error=False)

    def action_act(self, action: str) -> None:
        """A key of the registry, on the main screen."""
        if self.screen is self.main:
            self.main.act(action)
