"""What a thread follows over as many connections as that takes: it waits while the daemon is away, and goes on."""

import threading
from abc import ABC, abstractmethod

from core.errors import DaemonUnavailable, VertuiError

PAUSES_S = (0.1, 0.3, 1.0)  # before another connection, while the daemon is away


class Persisting(ABC):
    """`away` while the daemon is waited for; `error` is what ended it, if anything did."""

    def __init__(self) -> None:
        self.away = False
        self.error: VertuiError | None = None
        self._closed = threading.Event()

    def _persist(self) -> None:
        """Follow until the end, in the thread that this is called from."""
        failures, again = 0, False
        while not self._closed.is_set():
            try:
                self._once(again)
                break
            except DaemonUnavailable:
                failures = 0 if not self.away else failures + 1
                self.away = again = True
            except VertuiError as error:
                self.error = error
                break
            except Exception as bug:  # a thread that dies unheard would leave a dead pane
                self.error = VertuiError(f"a bug: {bug!r}")
                break
            self._tell()
            self._closed.wait(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
        self.away = False

    def _came_back(self) -> None:
        """There is a connection."""
        if self.away:
            self.away = False
            self._tell()

    @abstractmethod
    def _once(self, again: bool) -> None:
        """One connection's worth, `again` when there was one before. Raises VertuiError."""

    @abstractmethod
    def _tell(self) -> None:
        """Something is new."""
