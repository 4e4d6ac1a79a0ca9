"""What every screen and action asks of the app it runs in: the daemon's client, calls in threads, words to the user."""

import os
import subprocess
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from textual.app import App, SuspendNotSupported

from core.daemon.endpoint import Endpoint, variables_of
from core.errors import DaemonStopped, NoRoom, VertuiError
from core.home import Home
from core.model import Event
from vertui import theme
from vertui.actions import BY_ID, READ_ONLY, give_keys
from vertui.browser import open_url, own_page
from vertui.compare.arrangement import Arrangement
from vertui.feed import DaemonFeed, Feed, Watcher
from vertui.keymap import key_files, read_keymap
from vertui.messages import Arrived, Finished
from vertui.plain import toast
from vertui.reading import ReadingFeed, reading_client
from vertui.remembered import Remembered
from vertui.selection import Node, Selection
from vertui.text import age, printable
from vertui.themes import FIRST, ColourTheme

if TYPE_CHECKING:
    from core.daemon.client import Client

T = TypeVar("T")
TOAST_S = 8.0
ONLY_A_PAGE = "this page may only be looked at: it saves nothing and starts no program where it is served"
LONG_S = 0.5  # what takes longer says how long


def told(error: VertuiError) -> str:
    """An error, and the key that helps."""
    helps = {
        DaemonStopped: ("start", "starts it"),
        NoRoom: ("trash", "shows the trash, which can be emptied"),
    }
    for kind, (action, what) in helps.items():
        if isinstance(error, kind):
            return f"{error}: {BY_ID[action].key_label} {what}"
    return str(error)


def _ignore(result: object) -> None:
    """Events say what a call did; its result says nothing more."""


class BaseApp(App[None]):
    """The part of the app that knows no screen. `open_feed` is called in a thread; by default it is the daemon's.

    One that is `read_only` changes nothing but the screen: what would is refused where it is asked for, and whatever
    is asked for in spite of that is not sent (`vertui.reading`). On a page it leaves no file and starts no program.
    """

    def __init__(
        self, endpoint: Endpoint, open_feed: Callable[[], Feed] | None = None, *, read_only: bool = False
    ) -> None:
        super().__init__()
        self.endpoint, self.read_only = endpoint, read_only
        self.remembered = Remembered(endpoint, keeps=not read_only)
        self.keymap = read_keymap(key_files(endpoint.root if isinstance(endpoint, Home) else None))
        give_keys(self.keymap.keys)
        self.jobs: tuple[str, ...] = ()
        self.trouble = ""  # why no news comes
        self.worn = FIRST
        self._begun: dict[str, float] = {}  # when what is done was begun
        self.took_s: dict[str, float] = {}  # what was done last, by the first word that says it
        self.page = own_page()  # that we are shown on, if it is no terminal: what is saved is for its browser
        self.kept: dict[str, object] = {}  # what screens want to find again, by a name of theirs
        self.arrangement = Arrangement()  # of comparisons
        self._open_feed = open_feed or (lambda: DaemonFeed(endpoint))
        self.watcher = Watcher(self._reading_feed if read_only else self._open_feed, self._notify)

    @cached_property
    def client(self) -> "Client":
        """The daemon's client, imported when first used."""
        if self.read_only:
            return reading_client(self.endpoint)
        from core.daemon.client import Client

        return Client(self.endpoint, starts=False)  # the watcher starts it, and not one that somebody stopped

    def _reading_feed(self) -> Feed:
        """Whoever only looks at a page of ours starts no daemon that was stopped."""
        return ReadingFeed(self._open_feed(), starts=self.page is None)

    def start_daemon(self) -> None:
        """Start the daemon that somebody stopped."""
        if self.may_change() and (feed := self.watcher.feed) is not None:
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
    def frozen(self) -> bool:
        """Is what is shown held still?"""

    @property
    @abstractmethod
    def progress(self) -> Event | None:
        """How far it is what somebody waits for, if it takes long and says so."""

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
    def show_then(self, operation: int) -> None:
        """Show the tree as it was when an operation had ended."""

    @abstractmethod
    def go_to_node(self, node: Node) -> None:
        """Put the cursor of the main screen on a node, and show that screen."""

    @abstractmethod
    def look_as_left(self) -> None:
        """Show everything as it was when it was left."""

    @abstractmethod
    def picture(self) -> None:
        """Save what is on the screen, in a new file."""

    @abstractmethod
    def wear(self, worn: ColourTheme) -> None:
        """Show everything in these colours from now on."""

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
        self._begun[doing] = time.monotonic()
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
            self._learn(message)
            self._show_jobs(tuple(left))
        if message.error is None:
            message.then(message.result)
            return
        message.failed(message.error)
        if message.doing:
            self.fail(told(message.error), message.doing)

    def fail(self, text: str, doing: str = "") -> None:
        """Show why something cannot be, and what it was that was being done."""
        self.say(f"✗ {printable(text)}", theme.RED)
        toast(self, text, TOAST_S, title=f"{doing} failed" if doing else "")

    def tell(self, text: str) -> None:
        """A word in the event line, and in a corner where another screen covers that."""
        self.say(text)
        if len(self.screen_stack) > 1:
            toast(self, text, TOAST_S, error=False)

    def may_change(self) -> bool:
        """Is this more than a screen to look at? Says so when not."""
        if self.read_only:
            self.fail(READ_ONLY)
        return not self.read_only

    def may_use_host(self) -> bool:
        """May files be written where we run, and programs started? Says so when not."""
        refused = self.read_only and self.page is not None
        if refused:
            self.fail(ONLY_A_PAGE)
        return not refused

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
        self.show_jobs(tuple(f"{job}{self._expected(job)}" for job in jobs))

    @property
    def lasting(self) -> tuple[str, ...]:
        """What is being done for longer than a moment, as it is said."""
        since = time.monotonic() - LONG_S
        lasting = (job for job in self.jobs if self._begun.get(job, since) <= since)
        return tuple(f"{job}{self._expected(job)}" for job in lasting)

    def _expected(self, job: str) -> str:
        """How long it will take, where that is known and long enough to be waited for."""
        took = self.took_s.get(job.partition(" ")[0], 0.0)
        return f", about {age(max(1.0, took))}" if took >= LONG_S else ""

    def _learn(self, done: Finished) -> None:
        """Remember how long it took, as what is like it will take as long."""
        began = self._begun.pop(done.doing, None)
        if began is not None and done.error is None:
            self.took_s[done.doing.partition(" ")[0]] = round(time.monotonic() - began, 1)

    # -- the browser, and what we are shown in ------------------------------------------------------------------

    def browse(self, url: str, then: Callable[[bool], object]) -> None:
        """Open a URL in the user's browser; `then` is told whether something did."""
        self.ask(lambda: self.page.open_url(url) if self.page else open_url(url), then)

    # -- the terminal -----------------------------------------------------------------------------------------

    def leave_to(self, command: Sequence[str], name: str) -> None:
        """Leave the terminal to a program and come back when it ends."""
        if not self.may_use_host():
            return
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
            self.tell(f"{name} ended with status {status}")
