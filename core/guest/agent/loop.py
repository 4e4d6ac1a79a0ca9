"""Descriptors and timers: what the agent sleeps on."""

from __future__ import annotations

import heapq
import itertools
import select
import time
from collections.abc import Callable

READ = select.EPOLLIN
WRITE = select.EPOLLOUT

LONGEST_SLEEP_S = 3600.0
"""Whatever the timers say: epoll takes no more than 24 days, and nothing that is no number."""

Timer = tuple[float, int, Callable[[], None]]


class Poller:
    """An epoll set with a handler for each descriptor; may itself be watched by another."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._events: dict[int, int] = {}

    def fileno(self) -> int:
        """The epoll descriptor: readable while an event waits."""
        return self._epoll.fileno()

    def watch(self, fd: int, events: int, handler: Callable[[], None]) -> None:
        """Call `handler` whenever `fd` is ready; again with other events to change them."""
        if fd not in self._handlers:
            self._epoll.register(fd, events)
        elif self._events[fd] != events:
            self._epoll.modify(fd, events)
        self._handlers[fd], self._events[fd] = handler, events

    def forget(self, fd: int) -> None:
        """Watch no more; nothing happens when it was not watched. Call before closing `fd`."""
        if self._handlers.pop(fd, None):
            self._epoll.unregister(fd)

    def wait(self, timeout_s: float | None) -> None:
        """Sleep until something is ready, at most `timeout_s`, and handle it."""
        for fd, _ in self._epoll.poll(timeout_s):
            handler = self._handlers.get(fd)
            if handler:
                handler()


class Timers:
    """Calls due at a monotonic time; costs nothing while there are none."""

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self._order = itertools.count()

    def after(self, delay_s: float, call: Callable[[], None]) -> Timer:
        """Have `call` run once, `delay_s` from now."""
        timer = (time.monotonic() + delay_s, next(self._order), call)
        heapq.heappush(self._heap, timer)
        return timer

    def cancel(self, timer: Timer | None) -> None:
        """Take a call back, if it has not run; what it refers to is let go."""
        if timer in self._heap:
            self._heap.remove(timer)
            heapq.heapify(self._heap)

    def wait_s(self) -> float | None:
        """How long to sleep for the next one, which may be due later still; None for ever."""
        if not self._heap:
            return None
        return min(LONGEST_SLEEP_S, max(0.0, self._heap[0][0] - time.monotonic()))

    def run_due(self) -> None:
        """Run those whose time has come."""
        while self._heap and self._heap[0][0] <= time.monotonic():
            heapq.heappop(self._heap)[2]()
