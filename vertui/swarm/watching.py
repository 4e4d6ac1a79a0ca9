"""All swarms of a home, looked at anew whenever a record has changed or its player has come or gone: the kernel says so
(inotify), and between two such moments nothing is done.
"""

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from inotify_simple import INotify, flags

from core.errors import VertuiError
from core.home import Home
from vertui.swarm.glance import SwarmGlance, glance_or_trouble, player_of
from vertui.swarm.record import path_of, swarms

HEEDED = flags.MODIFY | flags.CLOSE_WRITE | flags.CREATE | flags.DELETE | flags.MOVED_TO
QUIET_MS = 30  # the lines of several tries that end together come closer than this

Stamp = tuple[int, int, int, int]  # differs when a record is another, or its player


class SwarmsWatcher:
    """Looks in a thread from `start` to `close`; `notify` is called from it. With `only` one swarm is looked at. Where
    the kernel has no watch left it is `deaf`, and looks when it is told to `look`.
    """

    def __init__(self, home: Home, notify: Callable[[], object], only: str | None = None) -> None:
        self.deaf = False
        self._home, self._notify, self._only = home, notify, only
        self._glances: tuple[SwarmGlance, ...] | None = None
        self._known: dict[str, tuple[Stamp, SwarmGlance]] = {}
        self._told, self._tell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._lock = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._watch, name="swarms", daemon=True).start()

    def look(self) -> None:
        """Look now."""
        with self._lock:
            if not self._closed:
                with suppress(BlockingIOError):  # it is told already
                    os.write(self._tell, b".")

    def close(self) -> None:
        """Look no more."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._tell)

    def take(self) -> tuple[SwarmGlance, ...] | None:
        """As they were looked at last, by name; None before that."""
        return self._glances

    # -- in the thread ---------------------------------------------------------------------------------------

    def _watch(self) -> None:
        try:
            with INotify() as heard:
                while not self._closed:
                    self._heed(heard)
                    self._glances = self._looked()
                    self._notify()
                    self._wait(heard)
        except OSError:
            self.deaf = True
            while not self._closed:
                self._glances = self._looked()
                self._notify()
                self._wait()
        finally:
            os.close(self._told)

    def _heed(self, heard: INotify) -> None:
        """From now on; of a home that has had no swarm yet, the first."""
        for place, what in ((self._home.swarms, HEEDED), (self._home.root, flags.CREATE)):
            with suppress(FileNotFoundError, NotADirectoryError):
                heard.add_watch(place, what | flags.ONLYDIR)
                return

    def _wait(self, heard: INotify | None = None) -> None:
        """Until there is something to look at, and for what comes right behind."""
        poll = select.poll()
        for one in (self._told, heard):
            if one is not None:
                poll.register(one, select.POLLIN)
        poll.poll()
        with suppress(BlockingIOError):
            os.read(self._told, 1 << 10)
        if heard is not None:
            heard.read(timeout=QUIET_MS)

    def _looked(self) -> tuple[SwarmGlance, ...]:
        try:
            names = swarms(self._home)
        except VertuiError:
            names = []
        names = [name for name in names if self._only in (None, name)]
        self._known = {name: self._one(name) for name in names}
        return tuple(glance for _, glance in self._known.values())

    def _one(self, name: str) -> tuple[Stamp, SwarmGlance]:
        """As it was, where nothing about it is different."""
        stamp = self._stamp(name)
        known = self._known.get(name)
        return known if known and known[0] == stamp else (stamp, glance_or_trouble(self._home, name))

    def _stamp(self, name: str) -> Stamp:
        try:
            found = Path(path_of(self._home, name)).stat()
        except (OSError, VertuiError):
            return (0, 0, 0, 0)
        return found.st_ino, found.st_mtime_ns, found.st_size, player_of(self._home, name)
