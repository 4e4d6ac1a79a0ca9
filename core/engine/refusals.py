"""What one branch's guest was refused: names that it asked for, and of which refusals somebody was told."""

import time
from collections import OrderedDict

from core.network.addresses import RESOLVER_PORT
from core.reach import Attempt

MOST = 256  # of each; the guest chooses them
TOLD_AGAIN_S = 60.0  # until the same refusal is news once more


class Refusals:
    """Of one guest, in the order of the last attempts."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, Attempt] = OrderedDict()
        self._told: OrderedDict[str, float] = OrderedDict()
        self.seen = 0  # packets, when they were last looked at

    @property
    def names(self) -> tuple[Attempt, ...]:
        """Names that were not looked up."""
        return tuple(self._names.values())

    @property
    def count(self) -> int:
        """How often one was asked for."""
        return sum(one.times for one in self._names.values())

    def add(self, name: str) -> bool:
        """A name was asked for; is that news?"""
        former = self._names.pop(name, None)
        self._names[name] = Attempt(
            name, RESOLVER_PORT, "udp", former.times + 1 if former else 1, time.time()
        )
        _bound(self._names)
        return self.is_news(name)

    def is_news(self, what: str) -> bool:
        """Was nobody told of this for some time? They are now."""
        now = time.monotonic()
        known = self._told.pop(what, -TOLD_AGAIN_S)
        told_now = now - known >= TOLD_AGAIN_S
        self._told[what] = now if told_now else known
        _bound(self._told)
        return told_now


def _bound(known: OrderedDict[str, Attempt] | OrderedDict[str, float]) -> None:
    while len(known) > MOST:
        known.popitem(last=False)
