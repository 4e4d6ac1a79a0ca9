"""Questions that each take a moment, asked one after the other while somebody wants to know."""

import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import partial
from typing import Generic, TypeVar

from core.errors import DaemonUnavailable, VertuiError
from vertui.base import BaseApp

Q = TypeVar("Q", bound=Hashable)
A = TypeVar("A")
BATCH_S = 0.2  # answers that come within this time are shown together; each time it is longer by that
LONGEST_BATCH_S = 1.0  # of thousands: showing what came costs the loop some 30 ms, however few it is


class Inquiry(Generic[Q, A]):
    """`ask` answers one question, in a thread; `told` is given answers as they come, None for what cannot be answered.

    One question is under way at a time: what wants to know is a screen, and the machines have other work.
    """

    def __init__(
        self, app: BaseApp, ask: Callable[[Q], A], told: Callable[[dict[Q, A | None]], object]
    ) -> None:
        self._app, self._ask, self._told = app, ask, told
        self._wanted: Iterator[Q] = iter(())
        self._busy = False
        self._batch_s = BATCH_S
        self._asked: frozenset[Q] = frozenset()  # whose answers are on their way
        self.trouble = ""  # why nothing is asked any more

    def want(self, questions: Iterable[Q]) -> None:
        """Ask these from now on, in this order, and none of those that were wanted before."""
        self._wanted = iter(questions)
        self._go_on()

    def again(self) -> None:
        """Whoever could not be asked is there again."""
        self.trouble = ""
        self._go_on()

    def _go_on(self) -> None:
        if self._busy or self.trouble:
            return
        if (question := self._next()) is None:
            self._batch_s = BATCH_S
            return
        self._busy = True
        self._app.ask(partial(self._work, question), self._answered, self._failed)

    def _next(self) -> Q | None:
        """Taken by the thread while it is at work, and by the loop while it is not."""
        return next((question for question in self._wanted if question not in self._asked), None)

    def _work(self, first: Q) -> dict[Q, A | None]:
        found: dict[Q, A | None] = {}
        question: Q | None = first
        until = time.monotonic() + self._batch_s
        while question is not None:
            self._asked |= {question}
            try:
                found[question] = self._ask(question)
            except DaemonUnavailable:
                raise
            except VertuiError:
                found[question] = None
            question = self._next() if time.monotonic() < until else None
        return found

    def _answered(self, found: dict[Q, A | None]) -> None:
        self._busy, self._asked = False, frozenset()
        self._batch_s = min(LONGEST_BATCH_S, self._batch_s + BATCH_S)
        self._told(found)
        self._go_on()

    def _failed(self, error: VertuiError) -> None:
        self._busy, self._asked, self.trouble = False, frozenset(), str(error)
        self._told({})
