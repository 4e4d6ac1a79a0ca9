"""What is done again and again while something floods, so often and no oftener: keys come between."""

import time
from collections.abc import Callable

from textual.message_pump import MessagePump
from textual.timer import Timer

MOST_SHARE = 0.25  # of the loop's time, for what is done


class Pace:
    """Calls `act` when it is asked for: at once, or when `every_s` have gone by since it began the last time, and later
    where it takes long.
    """

    def __init__(self, owner: MessagePump, act: Callable[[], object], every_s: float) -> None:
        self._owner, self._act, self._every_s = owner, act, every_s
        self._next = 0.0  # when it may be done again
        self._timer: Timer | None = None

    def ask(self) -> None:
        """Have it done; once is enough."""
        if self._timer is None:
            pause = self._next - time.monotonic()
            if pause <= 0:
                self._go()
            else:
                self._timer = self._owner.set_timer(pause, self._go)

    def _go(self) -> None:
        self._timer, began, worked = None, time.monotonic(), time.thread_time()
        self._next = began + self._every_s  # for who asks meanwhile
        self._act()
        self._next = began + max(self._every_s, (time.thread_time() - worked) / MOST_SHARE)
