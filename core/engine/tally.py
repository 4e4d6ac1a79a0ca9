"""How far a verb is that does the same to many things: told while it takes longer than a moment."""

import time
from collections.abc import Callable
from contextvars import ContextVar

from core.engine.context import Engine

REQUEST: ContextVar[str] = ContextVar("request", default="")
"""The id of the request that is being carried out, which is what its progress is told by."""

LEAST_S = 1.0  # what takes less is over before anybody has read how far it is
EVERY_S = 0.2


class DoneCount:
    """Counts up to `total`; `what` is being done, in words."""

    def __init__(
        self, engine: Engine, what: str, total: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine, self._what, self._total, self._clock = engine, what, total, clock
        self._done, self._began, self._told = 0, clock(), -EVERY_S

    def one(self, _: object = None) -> None:
        """One more is done. To be called on the daemon's loop."""
        self.reach(self._done + 1, self._total)

    def reach(self, done: int, total: int) -> None:
        """So many of so many are done."""
        self._done, self._total, now = done, total, self._clock()
        spent = now - self._began
        if spent < LEAST_S or (now - self._told < EVERY_S and done < total):
            return
        self._told = now
        left = f", about {max(1, round(spent / done * (total - done)))} s left" if done < total else ""
        words = f"{self._what}: {done} of {total}{left}"
        self._engine.publish("progress", REQUEST.get(), words, min(done / total, 1.0))

    def end(self) -> None:
        """It is over, however it ended: nobody is to be shown for ever how far it came."""
        if self._told > 0:
            self._engine.publish("progress", REQUEST.get(), self._what, 1.0)
