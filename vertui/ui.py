"""The terminal UI: one app over one home. Threads call the daemon and post messages; only handlers touch widgets."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

from textual.app import App, SuspendNotSupported

from core.errors import DaemonStopped, VertuiError
from core.home import Home
from vertui import theme
from vertui.feed import DaemonFeed, Feed, News, Watcher
from vertui.messages import Arrived, Finished
from vertui.palette import ActionProvider
from vertui.plain import toast
from vertui.screens.base import VertuiScreen
from vertui.screens.main import MainScreen
from vertui.text import printable
from vertui.widgets.footer import KeyHints

if TYPE_CHECKING:
    from core.daemon.client import Client

T = TypeVar("T")
TOAST_S = 8.0


def told(error: VertuiError) -> str:
    """An error, and the key that helps."""
    return f"{error}: D starts it" if isinstance(error, DaemonStopped) else str(error)


def trouble_of(news: News) -> str:
    """Why nothing comes, and what helps; empty while all is well."""
    if news.error is None:
        return ""
    return told(news.error) if news.stopped else f"{news.error}; trying again…"


def _ignore(result: object) -> None:
    """Events say what a call did; its result says nothing more."""


class VertuiApp(App[None]):
    """vertui's terminal UI. `open_feed` is called in a thread; by default it is the daemon's feed."""

    CSS_PATH = "theme.tcss"
    TITLE = "vertui"
    COMMANDS = {ActionProvider}  # noqa: RUF012 (Textual's own shape)

    def __init__(self, home: Home, open_feed: Callable[[], Feed] | None = None) -> None:
        super().__init__()
        self.register_theme(theme.THEME)  # before the stylesheet, which uses its variables, is read
        self.theme = theme.THEME.name
        self.home = home
        self.main = MainScreen()
        self.jobs: tuple[str, ...] = ()
        self.trouble = ""  # why no news comes
        self.died: Exception | None = None
        self.watcher = Watcher(open_feed or (lambda: DaemonFeed(home)), self._notify)

    @cached_property
    def client(self) -> "Client":
        """The daemon's client, imported when first used."""
        from core.daemon.client import Client

        return Client(self.home, starts=False)  # the watcher starts it, and not one that somebody stopped

    def get_default_screen(self) -> MainScreen:
        """The main screen."""
        return self.main

    def on_mount(self) -> None:
        """Show a frame first, then look for the daemon."""
        if not self.is_headless:
            self._end_on_signals()
        self.call_after_refresh(self._start_watching)

    def _start_watching(self) -> None:
        gc.freeze()  # what was made so far lives as long as the app: no collection need look at it again
        gc.enable()
        self.watcher.start()

    def on_unmount(self) -> None:
        """Follow no more."""
        self.watcher.stop()

    def start_daemon(self) -> None:
        """Start the daemon that somebody stopped."""
        if (feed := self.watcher.feed) is not None:
            self.call("starting the daemon", feed.start, lambda _: self.watcher.hurry())

    # -- calls in threads ------------------------------------------------------------------------------------

    def call(
        self,
        doing: str,
        work: Callable[[], T],
        then: Callable[[T], object] = _ignore,
        failed: Callable[[VertuiError], object] = _ignore,
    ) -> None:
        """Do `work` in a thread, saying `doing` meanwhile; then call `then` with its result, or show its error and
        call `failed` with it."""
        self._show_jobs((*self.jobs, doing))
        self._start(doing, work, then, failed)

    def ask(
        self,
        work: Callable[[], T],
        then: Callable[[T], object] = _ignore,
        failed: Callable[[VertuiError], object] = _ignore,
    ) -> None:
        """Do `work` in a thread without a word; only `failed` learns of its error."""
        self._start("", work, then, failed)

    def on_finished(self, message: Finished) -> None:
        """A call's end."""
        if message.doing:
            left = list(self.jobs)
            left.remove(message.doing)
            self._show_jobs(tuple(left))
        if message.error is None:
            message.then(message.result)
            return
        message.failed(message.error)
        if message.doing:
            self.fail(told(message.error))

    def fail(self, text: str) -> None:
        """Show one line that says what went wrong."""
        self.main.say(f"✗ {printable(text)}", theme.RED)
        toast(self, text, TOAST_S)

    def _start(
        self,
        doing: str,
        work: Callable[[], T],
        then: Callable[[T], object],
        failed: Callable[[VertuiError], object],
    ) -> None:
        def run() -> None:
            try:
                result, error = work(), None
            except VertuiError as caught:
                result, error = None, caught
            except Exception as bug:  # a thread that dies unheard would leave its job on the screen for ever
                result, error = None, VertuiError(f"a bug: {bug!r}")
            self.post_message(Finished(doing, then, failed, result, error))

        threading.Thread(target=run, name=doing or "ask", daemon=True).start()

    def _show_jobs(self, jobs: tuple[str, ...]) -> None:
        self.jobs = jobs
        self.main.show_jobs(jobs)

    # -- news ------------------------------------------------------------------------------------------------

    def on_arrived(self) -> None:
        """Give the news to every screen."""
        news = self.watcher.take()
        self.trouble = trouble_of(news)
        for screen in self.screen_stack:
            if isinstance(screen, VertuiScreen):
                screen.hear(news)
            for hints in screen.query(KeyHints):
                hints.trouble = self.trouble

    def _notify(self) -> None:
        self.post_message(Arrived())

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
        """Put the terminal back before a signal ends us."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, partial(self.exit, return_code=128 + number))

    # -- actions ---------------------------------------------------------------------------------------------

    def action_act(self, action: str) -> None:
        """A key of the registry, on the main screen."""
        if self.screen is self.main:
            self.main.act(action)

    def run_outside(self, *argv: str) -> None:
        """Leave the terminal to a `vertui` command and come back when it ends."""
        command = [sys.executable, "-m", "vertui", *argv]
        try:
            with self.suspend():
                status = subprocess.run(
                    command, env=os.environ | {"VERTUI_HOME": str(self.home.root)}, check=False
                ).returncode
        except SuspendNotSupported:
            self.fail("this terminal cannot be left: run it in another one")
            return
        self.refresh()
        if status:
            self.main.say(f"{argv[0]} ended with status {status}")
