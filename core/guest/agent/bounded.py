"""Calls that what the guest provides can hold up for ever: each runs in a thread the agent can do without.

A filesystem may be served by a process of the guest, a lock be held by one; neither may hold up the thread that
answers the host and that has to thaw the guest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Late(Exception):
    """A call that did not end in time; its text is for the user."""


class Bounded:
    """Runs calls with a deadline. One that was late is not made again before it has ended."""

    def __init__(self) -> None:
        self._lost: dict[str, threading.Thread] = {}

    def run(self, what: str, call: Callable[[], object], timeout_s: float) -> None:
        """Wait for `call`, at most `timeout_s`, then Late; OSError is passed on. `what` says what it does."""
        if what in self._lost and self._lost[what].is_alive():
            raise Late(f"{what} has not ended since an earlier attempt")
        errors: list[OSError] = []

        def body() -> None:
            try:
                call()
            except OSError as error:
                errors.append(error)

        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        thread.join(timeout_s)
        if thread.is_alive():
            self._lost[what] = thread
            raise Late(f"{what} did not end within {timeout_s:g} s")
        if errors:
            raise errors[0]
