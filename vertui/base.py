"""What every screen and action asks of the app it runs in: the daemon's client, calls in threads, words to the user."""

import os
import subprocess
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from textual.app import App, SuspendNotSupported

from core.daemon.endpoint import Endpoint, variables_of
from core.errors import DaemonStopped, VertuiError
from core.model import Event
from vertui import theme
from vertui.browser import open_url, own_page
from vertui.compare.arrangement import Arrangement
from vertui.feed import DaemonFeed, Feed, Watcher
from vertui.messages import Arrived, Finished
from vertui.plain import toast
from vertui.selection import Selection
from vertui.text import printable

if TYPE_CHECKING:
    from core.daemon.client import Client

T = TypeVar("T")
TOAST_S = 8.0


def told(error: VertuiError) -> str:
    """An error, and the key that helps."""
    return f"{error}: D starts it" if isinstance(error, DaemonStopped) else str(error)


def _ignore(result: object) -> None:
    """Events say what a call did; its result says nothing more."""


class BaseApp(App[None]):
    """The part of the app that knows no screen. `open_feed` is called in a thread; by default it is the daemon's."""

    def __init__(self, endpoint: Endpoint, open_feed: Callable[[], Feed] | None = None) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.jobs: tuple[str, ...] = ()
        self.trouble = ""  # why no news comes
        self.page = own_page()  # that we are shown on, if it is no terminal
        self.kept: dict[
            str, object
        ] = {}  # what screens want to find when they are opened again, by a name of theirs
        self.arrangement = Arrangement()  # of comparisons
        self.watcher = Watcher(open_feed or (lambda: DaemonFeed(endpoint)), self._notify)

    @cached_property
    def client(self) -> "Client":
        """The daemon's client, imported when first used."""
        from core.daemon.client import Client

        return Client(self.endpoint, starts=False)  # the watcher starts it, and not one that somebody stopped

    def start_daemon(self) -> None:
        """Start the daemon that somebody stopped."""
        if (feed := self.watcher.feed) is not None:
            self.call("starting the daemon", feed.start, lambda _: self.watcher.hurry())

    def _notify(self) -> None:
        self.post_message(Arrived())

    # -- what the main screen knows and does ------------------------------------------------------------------

    @property
    @abstractmethod
    def selection(self) -> Selection:
        """What verbs act on."""

    @property
    @abstractmethod
    def progress(self) -> Event | None:
        """How far the image build is that is going on."""

    @abstractmethod
    def say(self, text: str, colour: str = theme.GOLD) -> None:
        """A word in the event line."""

    @abstractmethod
    def show_jobs(self, jobs: tuple[str, ...]) -> None:
        """Say what runs."""

    @abstractmethod
    def act(self, action: str) -> None:
        """Do an action on what is selected, or say why it cannot be."""

    @abstractmethod
    def perform(self, action: str, selection: Selection) -> None:
        """Do an action that can be done."""

    @abstractmethod
    def show_keys(self, hints: Iterable[tuple[str, str]]) -> None:
        """Show keys and what they do."""

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
        self.say(f"✗ {printable(text)}", theme.RED)
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
        self.show_jobs(jobs)

    # -- the browser, and what we are shown in ------------------------------------------------------------------

    def browse(self, url: str, then: Callable[[bool], object]) -> None:
        """Open a URL in the user's browser; `then` is told whether something did."""
        self.ask(lambda: self.page.open_url(url) if self.page else open_url(url), then)

    # -- the terminal -----------------------------------------------------------------------------------------

    def leave_to(self, command: Sequence[str], name: str) -> None:
        """Leave the terminal to a program and come back when it ends."""
        try:
            with self.suspend():
                env = os.environ | variables_of(self.endpoint)
                status = subprocess.run(command, env=env, check=False).returncode
        except SuspendNotSupported:
            self.fail("this terminal cannot be left: run it in another one")
            return
        except OSError as error:
            self.fail(f"{name} cannot be started: {error.strerror}")
            return
        self.refresh()
        if status:
            self.say(f"{name} ended with status {status}")
