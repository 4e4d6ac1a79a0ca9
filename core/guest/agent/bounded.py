"""Calls that what the guest provides can hold up for ever: each runs in a thread the agent can do without.

A filesystem may be served by a process of the guest, a lock be held by one; neither may hold up the thread that
answers the host and that has to thaw the guest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol


class Late(Exception):
    """A call that did not end in time; its text is for the user."""


class Calls(Protocol):
    """Makes calls for others."""

    def run(self, what: str, call: Callable[[], object], timeout_s: float) -> None:
        """Make `call`; Late when it does not end within `timeout_s`, what it raises is passed on. `what` says what it
        does.
        """
        ...


class Bounded:
    """Runs calls with a deadline. One that was late is not made again before it has ended."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._late: dict[str, _Worker] = {}

    def run(self, what: str, call: Callable[[], object], timeout_s: float) -> None:
        """Wait for `call` at most that long."""
        self._take_back()
        if what in self._late:
            raise Late(f"{what} has not ended since an earlier attempt")
        try:
            worker = self._idle.pop() if self._idle else _Worker()
        except RuntimeError as error:
            raise Late(f"{what} needs a thread, and there is none to be had") from error
        worker.begin(call)
        if not worker.ended(timeout_s):
            self._late[what] = worker
            raise Late(f"{what} did not end within {timeout_s:g} s")
        self._idle.append(worker)
        if worker.failure is not None:
            raise worker.failure

    def _take_back(self) -> None:
        for what in [what for what, worker in self._late.items() if worker.ended(0)]:
            self._idle.append(self._late.pop(what))


class AtOnce:
    """Makes calls that nobody can hold up, without a thread: a machine just forked takes long to get to one."""

    def run(self, what: str, call: Callable[[], object], timeout_s: float) -> None:
        """Make `call`, however long it takes."""
        call()


def _closed() -> threading.Lock:
    """A lock that is held: whoever wants it waits until it is released once. Much lighter than a semaphore."""
    lock = threading.Lock()
    lock.acquire()
    return lock


class _Worker:
    """A thread that makes one call after another: it is there already when a frozen guest waits for the next."""

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self._call: Callable[[], object] | None = None
        self._begun, self._ended = _closed(), _closed()
        threading.Thread(target=self._work, daemon=True).start()

    def begin(self, call: Callable[[], object]) -> None:
        """Have it make a call."""
        self._call, self.failure = call, None
        self._begun.release()

    def ended(self, timeout_s: float) -> bool:
        """Wait for the call's end, at most this long; True once for each call."""
        return self._ended.acquire(timeout=timeout_s)

    def _work(self) -> None:
        while self._begun.acquire() and self._call:
            try:
                self._call()
            except BaseException as error:
                self.failure = error
            self._call = None
            self._ended.release()
