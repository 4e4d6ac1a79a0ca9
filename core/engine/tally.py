"""How far a verb is that does the same to many things: told while it takes longer than a moment."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from core.engine.context import Engine
from core.progress import Begin, Told

REQUEST: ContextVar[str] = ContextVar("request", default="")
"""The id of the request that is being carried out, which is what its progress is told by. What nobody asked for has
none, and is not told of.
"""

LEAST_S = 1.0  # what takes less is over before anybody has read how far it is
EVERY_S = 0.2
Spell = Callable[[int], str]


def in_mebibytes(size_bytes: int) -> str:
    """How bytes are spelled."""
    return f"{size_bytes >> 20} MiB"


class DoneCount:
    """Counts up to `total`, or on and on where that is 0, for not known; `what` is being done, in words."""

    def __init__(
        self,
        engine: Engine,
        what: str,
        total: int = 0,
        clock: Callable[[], float] = time.monotonic,
        *,
        spell: Spell = "{:,}".format,
    ) -> None:
        self._engine, self._what, self._total, self._clock, self._spell = engine, what, total, clock, spell
        self._done, self._began, self._told, self._over = 0, clock(), -EVERY_S, False

    def one(self, _: object = None) -> None:
        """One more is done. To be called on the daemon's loop."""
        self.reach(self._done + 1, self._total)

    def is_news(self, done: int, total: int) -> bool:
        """Would it be told now that so many of so many are done?"""
        now = self._clock()
        return now - self._began >= LEAST_S and (now - self._told >= EVERY_S or 0 < total <= done)

    def reach(self, done: int, total: int) -> None:
        """So many of so many are done."""
        self._done, self._total = done, total
        if not self._over and self.is_news(done, total):
            self._told = self._clock()
            self._publish(f"{self._what}: {self._in_words()}", min(done / total, 1.0) if total else None)

    def end(self) -> None:
        """It is over, however it ended: nobody is to be shown for ever how far it came. A thread may go on."""
        self._over = True
        if self._told > 0:
            self._publish(self._what, 1.0)

    def _in_words(self) -> str:
        done, total = self._done, self._total
        if not total:
            return self._spell(done)
        left_s = (self._told - self._began) / max(1, done) * (total - done)
        left = f", about {max(1, round(left_s))} s left" if done < total else ""
        return f"{self._spell(done)} of {self._spell(total)}{left}"

    def _publish(self, text: str, fraction: float | None) -> None:
        if key := REQUEST.get():
            self._engine.events.publish("progress", key, text, fraction)


@contextmanager
def counting(engine: Engine, what: str, *, spell: Spell = "{:,}".format) -> Iterator[Told]:
    """Tell how far the body is, in whatever thread it says that."""
    with counting_each(engine, spell=spell) as begin:
        yield begin(what)


@contextmanager
def counting_each(engine: Engine, *, spell: Spell = "{:,}".format) -> Iterator[Begin]:
    """The same of one thing after the other, each by its own words and its own pace."""
    loop, counts = asyncio.get_running_loop(), list[DoneCount]()

    def begin(what: str) -> Told:
        count = DoneCount(engine, what, spell=spell)
        counts.append(count)

        def told(done: int, total: int) -> None:
            if count.is_news(done, total):  # else the loop would be woken for each of millions
                loop.call_soon_threadsafe(count.reach, done, total)

        return told

    try:
        yield begin
    finally:
        for count in counts:
            count.end()
