"""What one branch's guest was refused: names that it asked for, who asked, and of which refusals somebody was told."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import TypeVar

from msgspec.structs import replace

from core.network.rules import TOLD_PER_S
from core.reach import Attempt, Destination, Reach, covers

MOST = 256  # of each; the guest chooses them
TOLD_AGAIN_S = 60.0  # until the same refusal is news once more
NEVER = float("-inf")
EXPECTED_S = 10.0  # from a question for a service until the host itself is asked for

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Refusals:
    """Of one guest, in the order of the last attempts. `newest` is the one that was told last, until it is let."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._names: OrderedDict[Destination, Attempt] = OrderedDict()
        self._expected: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._told: OrderedDict[Destination, float] = OrderedDict()
        self._processes: OrderedDict[Destination, str] = OrderedDict()
        self._latest = deque((NEVER,) * TOLD_PER_S, TOLD_PER_S)  # when somebody was told of anything
        self.seen, self.looked = 0, time.time()  # packets, when they were last looked at, and when that was
        self.newest: Attempt | None = None

    @property
    def names(self) -> tuple[Attempt, ...]:
        """Names that were not looked up."""
        return tuple(map(self.with_process, self._names.values()))

    @property
    def count(self) -> int:
        """How often one was asked for."""
        return sum(one.times for one in self._names.values())

    def expect(self, name: str, port: int, for_s: float = EXPECTED_S) -> None:
        """It is known for which TCP port a name will be asked for, or no port (0) is."""
        if port:
            self._expected.pop(name, None)
            _put(self._expected, name, (port, self._clock() + for_s))

    def asked_for(self, name: str, wanted: int = 0) -> Destination:
        """What who asks for a name is after: that name, at the TCP port that is `wanted`, or else expected."""
        expected, until = self._expected.get(name, (0, 0.0))
        port = wanted or (expected if self._clock() < until else 0)
        return Destination(name, port, "tcp" if port else "")

    def add(self, asked: Destination) -> Attempt:
        """A name was asked for. Most programs ask twice at once, for addresses of two kinds: what was noted of a name
        before its port was known becomes part of what is noted with the port.
        """
        same = {asked, Destination(asked.host)}
        times = sum(former.times for one in same if (former := self._names.pop(one, None)))
        made = Attempt(asked.host, asked.port, asked.protocol, times + 1, time.time())
        _put(self._names, asked, made)
        return made

    def is_news(self, to: Destination) -> bool:
        """Was nobody told of this for some time? They are now, unless they were just told of very much."""
        now = self._clock()
        if now - self._told.get(to, NEVER) < TOLD_AGAIN_S or now - self._latest[0] < 1.0:
            return False
        self._told.pop(to, None)
        _put(self._told, to, now)
        self._latest.append(now)
        return True

    def made_by(self, to: Destination, pid: int, name: str) -> None:
        """Who tried that last, where the guest knows: no pid (0) is nobody's."""
        if pid:
            self._processes.pop(to, None)
            _put(self._processes, to, f"{name}[{pid}]")

    def with_process(self, one: Attempt) -> Attempt:
        """An attempt, and who made it."""
        return replace(one, process=self._processes.get(one.to, ""))

    def settle(self, reach: Reach) -> None:
        """The rule has changed: what it lets is refused no more, and what is refused from now on is news."""
        self._told.clear()
        if self.newest is not None and covers(reach, self.newest.to):
            self.newest = None


def _put(known: OrderedDict[K, V], key: K, value: V) -> None:
    known[key] = value
    while len(known) > MOST:
        known.popitem(last=False)
