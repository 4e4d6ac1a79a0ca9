"""What one branch's guest was refused: names that it asked for, who asked, and of which refusals somebody was told."""

import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import TypeVar

from msgspec.structs import replace

from core.reach import Attempt, Destination, Reach, covers

MOST = 256  # of each; the guest chooses them
TOLD_AGAIN_S = 60.0  # until the same refusal is news once more
EXPECTED_S = 10.0  # from a question for a service until the host itself is asked for

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Refusals:
    """Of one guest, in the order of the last attempts. `newest` is the one that was told last, until it is let."""

    def __init__(self) -> None:
        self._names: OrderedDict[Destination, Attempt] = OrderedDict()
        self._expected: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._told: OrderedDict[Destination, float] = OrderedDict()
        self._processes: OrderedDict[Destination, str] = OrderedDict()
        self.seen = 0  # packets, when they were last looked at
        self.newest: Attempt | None = None

    @property
    def names(self) -> tuple[Attempt, ...]:
        """Names that were not looked up."""
        return tuple(map(self.with_process, self._names.values()))

    @property
    def count(self) -> int:
        """How often one was asked for."""
        return sum(one.times for one in self._names.values())

    def expect(self, host: str, port: int) -> None:
        """A service was asked for by name: when its host is next, it is for this TCP port."""
        self._expected.pop(host, None)
        _put(self._expected, host, (port, time.monotonic()))

    def add(self, name: str, port: int = 0) -> Attempt:
        """A name was asked for, for a TCP port where that is known."""
        expected, since = self._expected.get(name, (0, 0.0))
        if not port and time.monotonic() - since < EXPECTED_S:
            port = expected
        made = Attempt(name, port, "tcp" if port else "", 1, time.time())
        if former := self._names.pop(made.to, None):
            made = replace(made, times=former.times + 1)
        _put(self._names, made.to, made)
        return made

    def is_news(self, to: Destination) -> bool:
        """Was nobody told of this for some time? They are now."""
        now = time.monotonic()
        known = self._told.pop(to, -TOLD_AGAIN_S)
        told_now = now - known >= TOLD_AGAIN_S
        _put(self._told, to, now if told_now else known)
        return told_now

    def made_by(self, to: Destination, process: str) -> None:
        """Who tried that last, where the guest knows."""
        if process:
            self._processes.pop(to, None)
            _put(self._processes, to, process)

    def with_process(self, one: Attempt) -> Attempt:
        """An attempt, and who made it."""
        return replace(one, process=self._processes.get(one.to, ""))

    def settle(self, reach: Reach) -> None:
        """The rule has changed: what it lets is refused no more."""
        if self.newest is not None and covers(reach, self.newest.to):
            self.newest = None


def _put(known: OrderedDict[K, V], key: K, value: V) -> None:
    known[key] = value
    while len(known) > MOST:
        known.popitem(last=False)
