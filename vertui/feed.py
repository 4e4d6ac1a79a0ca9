"""What the screens read: a feed of trees and events, and the watcher that follows it in the background.

The seam is `Feed`: the daemon's is `DaemonFeed`; anything that has a `Tree` can be another. The watcher owns two
threads: one reads events, the other makes of them what is shown, at most ten times a second, so that a burst costs one
drawing and an idle screen nothing. The tree is asked for once a connection; events carry what changes in it.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from core.daemon.endpoint import Endpoint
from core.errors import DaemonStopped, DaemonUnavailable, VertuiError
from core.model import Command, Event, ExecRequest, Process, Tree
from vertui.strands import Strands

if TYPE_CHECKING:
    from core.daemon.mirror import Mirror
    from core.daemon.streams import StreamMessage

STOP_S = 2.0  # what a daemon takes to start
FETCH_INTERVAL_S = 0.1  # ten trees a second is as much as an eye can follow
BEHIND_S = 0.05  # what a verb changed in the tree comes behind the event that tells of the verb, some 30 ms
BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0)
LOOK_S = 1.0  # between looks whether somebody else has started a daemon that was stopped: a file's presence

Offsets = tuple[int, int]  # of standard output and standard error


class Events(Protocol):
    """Events as they happen, for ever; DaemonUnavailable when their source goes away."""

    def __iter__(self) -> Iterator[Event]: ...

    def close(self) -> None:
        """End it, from any thread."""


class Printing(Protocol):
    """What a command prints, as it comes. Each method may block and raise VertuiError."""

    def __iter__(self) -> "Iterator[StreamMessage]": ...

    def write(self, data: bytes) -> bool:
        """Type into it; False when it takes nothing."""

    def signal(self, number: int) -> None:
        """Send its process group a signal."""

    def close(self) -> None:
        """Follow no more."""


class Feed(Protocol):
    """Where the screens' data comes from. Every method may block and raise VertuiError."""

    def start(self) -> None:
        """Make sure that there is something to read from."""

    def rejoin(self) -> None:
        """The same, but DaemonStopped where somebody ended it on purpose."""

    def tree(self) -> Tree:
        """The tree as it is now."""

    def events(self) -> Events:
        """Events from now on."""

    def commands(self, branch: str) -> list[Command]:
        """Commands of a branch, by exec."""

    def processes(self, branch: str) -> list[Process]:
        """Processes in a branch's guest."""

    def console(self, branch: str) -> Printing:
        """What a machine's console prints."""

    def output(self, branch: str, command: int, offsets: Offsets) -> Printing:
        """What a command printed from these offsets of its two streams, and what follows."""

    def run(self, request: ExecRequest) -> Printing:
        """Start a command, and what it prints."""


class DaemonFeed:
    """The daemon's feed. Imports the client when first used, after the first frame."""

    def __init__(self, endpoint: Endpoint) -> None:
        from core.daemon.client import Client

        self._endpoint = endpoint
        self._client = Client(endpoint, starts=False)  # who only looks brings back nothing that was ended

    def start(self) -> None:
        """Start the daemon if need be."""
        from core.daemon.start import ensure_daemon

        ensure_daemon(self._endpoint)

    def rejoin(self) -> None:
        """Wait for a daemon that died; one that was stopped stays so."""
        from core.daemon.start import rejoin

        rejoin(self._endpoint)

    def tree(self) -> Tree:
        """The daemon's tree."""
        return self._client.tree()

    def events(self) -> Events:
        """The daemon's events."""
        return self._client.events()

    def commands(self, branch: str) -> list[Command]:
        """Commands of a branch, by exec."""
        return self._client.ps(branch)

    def processes(self, branch: str) -> list[Process]:
        """Processes in a branch's guest."""
        return self._client.processes(branch)

    def console(self, branch: str) -> Printing:
        """What a machine's console prints."""
        from core.daemon import streams

        return streams.console(self._endpoint, branch)

    def output(self, branch: str, command: int, offsets: Offsets) -> Printing:
        """What a command printed from these offsets of its two streams, and what follows."""
        from core.daemon import streams

        return streams.attach(self._endpoint, branch, command, *offsets, looks=True)

    def run(self, request: ExecRequest) -> Printing:
        """Start a command, and what it prints."""
        from core.daemon import streams

        return streams.run(self._endpoint, request)


@dataclass(frozen=True)
class News:
    """What came since the last look. `strands` are those of `tree`; `error` says why nothing comes, None while it does.

    `fresh`: the feed is connected anew, so whatever was asked before may have changed without an event.
    """

    tree: Tree | None
    strands: Strands | None
    events: tuple[Event, ...]
    error: VertuiError | None
    fresh: bool = False

    @property
    def stopped(self) -> bool:
        """Is the daemon stopped, so that it comes only when it is asked for?"""
        return isinstance(self.error, DaemonStopped)


class Watcher:
    """Follows a feed. `on_news` is called from its threads when there is news to `take`."""

    def __init__(self, open_feed: Callable[[], Feed], on_news: Callable[[], object]) -> None:
        self._open_feed, self._on_news = open_feed, on_news
        self._wakes: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._news = News(None, None, (), None)
        self._stopped = threading.Event()
        self._hurried = threading.Event()
        self._fresh = False
        self._lost: VertuiError | None = None  # why there is no subscription
        self._events: Events | None = None
        self._thread: threading.Thread | None = None
        self.feed: Feed | None = None  # once it is open

    def start(self) -> None:
        """Begin to follow."""
        self._thread = threading.Thread(target=self._connect, name="feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Follow no more; both threads end. A daemon that is just being started is waited for a little: it must not
        come up behind whoever ends everything next.
        """
        self._stopped.set()
        self._hurried.set()
        self._wakes.put(None)
        if self._events is not None:
            self._events.close()
        if self._thread is not None:
            self._thread.join(STOP_S)

    def hurry(self) -> None:
        """Look for the daemon now, if it is away."""
        self._hurried.set()

    def take(self) -> News:
        """What came since the last call."""
        with self._lock:
            news, self._news = self._news, News(None, None, (), self._news.error)
            return news

    def _connect(self) -> None:
        feed = self.feed = self._open_feed()
        threading.Thread(target=self._fetch, args=(feed,), name="tree", daemon=True).start()
        begin, failures = feed.start, 0
        while not self._stopped.is_set():
            try:
                begin()
                self._events = feed.events()
                begin, failures, self._lost, self._fresh = feed.rejoin, 0, None, True
                self._wakes.put(None)  # the subscription stands: what is fetched from now on misses nothing
                self._read(self._events)
            except VertuiError as error:
                self._lost = error
            except Exception as bug:  # a thread that dies unheard would leave an old tree on the screen
                self._lost = VertuiError(f"a bug: {bug!r}")
            self._tell()
            stopped = isinstance(self._lost, DaemonStopped)
            pause = LOOK_S if stopped else BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
            failures += 1
            self._hurried.wait(pause)
            self._hurried.clear()

    def _read(self, events: Events) -> None:
        if self._stopped.is_set():  # `stop` may have come before there was anything to close
            events.close()
        for event in events:
            self._wakes.put(event)

    def _fetch(self, feed: Feed) -> None:
        from core.daemon.mirror import Mirror

        mirror = Mirror(feed.tree)
        strands: Strands | None = None
        while not self._stopped.is_set():
            events = self._next_events()
            if self._stopped.is_set():
                return
            started = time.monotonic()
            try:
                tree = mirror.tree if _followed(mirror, events) else None
                strands = Strands(tree, strands) if tree else strands
                self._tell(tree, strands if tree else None, tuple(event for event in events if event))
            except VertuiError as error:
                from core.holder.ask import Silent

                if isinstance(error, Silent):
                    self._wakes.put(None)  # it lives, so the other thread may hear events all the same
                elif isinstance(error, DaemonUnavailable):
                    continue  # the other thread meets the same, says so, and asks when it is back
                self._tell(error=error)
            except Exception as bug:
                self._tell(error=VertuiError(f"a bug: {bug!r}"))
            self._stopped.wait(max(0.0, FETCH_INTERVAL_S - (time.monotonic() - started)))

    def _next_events(self) -> list[Event | None]:
        """Wait for a wake, then take all there are, with what they changed: both together cost one drawing."""
        events = [self._wakes.get()]
        until = time.monotonic() + BEHIND_S
        while not self._wakes.empty() or not any(map(_is_whole, events)):
            try:
                events.append(self._wakes.get(timeout=max(0.0, until - time.monotonic())))
            except queue.Empty:
                break
        return events

    def _tell(
        self,
        tree: Tree | None = None,
        strands: Strands | None = None,
        events: tuple[Event, ...] = (),
        error: VertuiError | None = None,
    ) -> None:
        with self._lock:
            old = self._news
            kept = (tree, strands) if tree else (old.tree, old.strands)
            fresh, self._fresh = old.fresh or self._fresh, False
            self._news = News(*kept, (old.events + events)[-200:], self._lost or error, fresh)
        if not self._stopped.is_set():
            self._on_news()


def _is_whole(event: Event | None) -> bool:
    """Does it say what changed in the tree, or that it is to be asked for?"""
    return event is None or event.changed is not None


def _followed(mirror: "Mirror", events: Iterable[Event | None]) -> bool:
    """Give events to a mirror, None for a tree to be asked for anew; whether what it shows changed."""
    changed = False
    for event in events:
        if event is None:
            mirror.forget()
        changed = event is None or mirror.take(event) or changed
    return changed
