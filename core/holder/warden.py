"""One daemon at a time, for the holder: started when asked for, and again when it dies or stands still."""

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable, Sequence

from core.errors import VertuiError
from core.files import os_files
from core.holder.pulse import DUMP, Watched
from core.holder.wire import HolderAnswer
from core.home import Home
from core.log import line
from core.python import program

KEY = "daemon"
PULSE_FD = 3
QUICK_DEATH_S = 3.0  # a daemon that ends sooner, or never served, did not come up
MOST_QUICK_DEATHS = 3  # in a row, before it is left to rest until a client asks again

Spawn = Callable[[str, list[str], str, Sequence[int]], int]


class Warden:
    """`spawn` starts a child of the holder's, whose `selector` shows when there is something to hear."""

    def __init__(self, home: Home, spawn: Spawn, selector: selectors.BaseSelector) -> None:
        self._log = home.log / "daemon.log"
        self._argv = program("core.daemon.server", str(home.root), str(PULSE_FD))
        self._spawn = spawn
        self._selector = selector
        self._started = 0.0
        self._log_from = 0
        self._quick_deaths = 0
        self._asked_to_dump = False
        self.resting = False  # because somebody stopped it, or …
        self.gave_up = False  # … because it does not come up
        self.daemon: Watched | None = None

    def ask(self) -> None:
        """Have a daemon run: somebody wants one."""
        self.resting = self.gave_up = False
        self._quick_deaths = 0
        if self.daemon is None:
            self._start()

    def state(self) -> HolderAnswer:
        """What a client that waits for the daemon wants to know."""
        told: HolderAnswer = {"resting": self.resting, "gave_up": self.gave_up, "log_from": self._log_from}
        if self.daemon is None:
            return {**told, "daemon": None}
        return {**told, "daemon": self.daemon.pid, "told": self.daemon.told, "beats": self.daemon.beats}

    def hear(self) -> None:
        """Take in what the daemon tells; when it has closed the pipe it is about to end."""
        if self.daemon is not None and not self.daemon.hear():
            self._selector.unregister(self.daemon.pipe)

    def ended(self) -> None:
        """The daemon is no more: start another, unless that seems to be of no use."""
        served = self._let_go()
        quick = not served or time.monotonic() - self._started < QUICK_DEATH_S
        self._quick_deaths = self._quick_deaths + 1 if quick else 0
        if self._quick_deaths >= MOST_QUICK_DEATHS and not self.resting:
            self.resting = self.gave_up = True
        if not self.resting:
            try:
                self._start()
            except OSError as error:
                self.resting = self.gave_up = True
                self._say(f"the daemon cannot be started: {error.strerror}")

    def look(self) -> None:
        """Once every LOOK_S: let a daemon that stands still write where it stands, and at the next look end it. One
        that was told to end may take its time.
        """
        if self.daemon is None or self.resting or not self.daemon.look():
            self._asked_to_dump = False
            return
        number = signal.SIGKILL if self._asked_to_dump else DUMP
        with contextlib.suppress(OSError):
            if not self._asked_to_dump:
                self._say(f"the daemon (pid {self.daemon.pid}) stands still, here; another takes its place:")
            os.kill(self.daemon.pid, number)
        self._asked_to_dump = True

    def _start(self) -> None:
        self._started = time.monotonic()
        self._log_from = self._log.stat().st_size if self._log.exists() else 0
        self._asked_to_dump = False
        pipe, theirs = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self.daemon = Watched(self._spawn(KEY, self._argv, str(self._log), [theirs]), pipe)
        except OSError:
            os.close(pipe)
            raise
        finally:
            os.close(theirs)
        self._selector.register(pipe, selectors.EVENT_READ)

    def _let_go(self) -> bool:
        """Listen to the daemon no more; had it served?"""
        former, self.daemon = self.daemon, None
        if former is None:
            return False
        with contextlib.suppress(OSError):
            former.hear()
        with contextlib.suppress(KeyError):
            self._selector.unregister(former.pipe)
        former.close()
        return former.served

    def _say(self, text: str) -> None:
        """Into the daemon's log, if it takes anything: a full disk must not end the holder, and so every machine."""
        with contextlib.suppress(OSError, VertuiError):
            os_files.append(self._log, line("ERROR", "holder", text).encode())
