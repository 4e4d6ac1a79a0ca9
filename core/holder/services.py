"""Children that are to run always, whether there is a daemon or not: started again whenever they end."""

import math
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

PAUSE_S = 0.25  # after one that ended by itself: it may never come up, and trying must not cost a core


@dataclass(frozen=True)
class Service:
    """One such child. `kept` are the names of its descriptors, `nursery` who forks it if it can."""

    argv: list[str]
    log: str
    kept: list[str]
    nursery: str


class Services:
    """By key. `start` makes a service's process."""

    def __init__(self, start: Callable[[str, Service], int]) -> None:
        self._start = start
        self._known: dict[str, Service] = {}
        self._due: dict[str, float] = {}  # when those that ended are to be started again, by time.monotonic

    def add(self, key: str, service: Service, pid: int | None) -> int:
        """Have it run from now on; the pid of the one that does, which is `pid` if there is one."""
        self._known[key] = service
        return pid or self._begin(key)

    def ended(self, key: str, status: int) -> None:
        """A child is no more: if it is a service it will be started again, at once if it was killed."""
        if key in self._known:
            self._due[key] = time.monotonic() + (0 if status == -signal.SIGKILL else PAUSE_S)

    def start_due(self) -> float:
        """Start those whose time has come; in how many seconds the next one's has."""
        for key, at in list(self._due.items()):
            if at <= time.monotonic():
                try:
                    self._begin(key)
                except (OSError, KeyError):
                    self._due[key] = time.monotonic() + PAUSE_S
        return max(0.0, min(self._due.values(), default=math.inf) - time.monotonic())

    def _begin(self, key: str) -> int:
        self._due.pop(key, None)
        return self._start(key, self._known[key])
