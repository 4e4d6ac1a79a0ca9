"""Names tied to the addresses they were answered with, so that rules by name hold for packets, which have none."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from core.reach import Destination, Reach, ReachMode, is_name, names, network

LEAST_S, MOST_S = 300, 86_400
"""How long a tie holds at least, since programs keep addresses longer than their answers allow, and at most."""
MOST_NAMES, MOST_ADDRESSES = 1024, 32  # of a branch, of a name; the guest asks for them
MOST_TIES = 8192  # of a branch that a rule lets through

NEVER = tuple(
    map(ipaddress.IPv4Network, ("0.0.0.0/8", "10.77.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"))
)
"""What no name and no open egress leads to: ourselves, this host's loopback, its neighbours' metadata, many at once."""


@dataclass(frozen=True)
class Tie:
    """An address that a destination of the rule stands for now, and for how many seconds."""

    address: str
    port: int
    protocol: str
    name: str
    seconds: int


class Ties:
    """What one branch's names were answered with, the names asked last at the end. Bounded: the guest chooses them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._names: OrderedDict[str, dict[str, float]] = OrderedDict()

    def add(self, name: str, addresses: Iterable[str], ttl_s: int) -> list[str]:
        """Tie a name to addresses; those of them that count. Nothing is one that hosts do not have."""
        if not is_name(name):
            return []
        good = [address for address in addresses if not never(address)][:MOST_ADDRESSES]
        until = self._clock() + min(max(ttl_s, LEAST_S), MOST_S)
        tied = self._living(self._names.pop(name, {})) | dict.fromkeys(good, until)
        self._names[name] = dict(list(tied.items())[-MOST_ADDRESSES:])
        while len(self._names) > MOST_NAMES:
            self._names.popitem(last=False)
        return good

    def name_of(self, address: str) -> str | None:
        """The name that was last answered with an address."""
        known = list(self._names.items())  # others add names meanwhile
        return next((name for name, tied in reversed(known) if address in tied), None)

    def let_through(self, reach: Reach, only: str | None = None) -> list[Tie]:
        """What a rule's names stand for now, of one name or of all."""
        now, found = self._clock(), []
        wanted = self._names if only is None else {only: self._names.get(only, {})}
        for name, tied in wanted.items():
            for to in named_by(reach, name):
                for address, until in self._living(tied).items():
                    found.append(Tie(address, to.port, to.protocol, name, max(1, round(until - now))))
        return found[-MOST_TIES:]

    def _living(self, tied: dict[str, float]) -> dict[str, float]:
        now = self._clock()
        return {address: until for address, until in tied.items() if until > now}


def admits(reach: Reach, ties: Iterable[Tie]) -> Callable[[str, int, str], bool]:
    """Whether a rule, its names being what `ties` say, lets an address, a port and a protocol through."""
    if reach.mode is ReachMode.OPEN:
        return lambda address, port, protocol: not never(address)
    named = {(tie.address, tie.port, tie.protocol) for tie in ties}
    networks = [(net, to) for to in reach.to if (net := network(to)) is not None]

    def admitted(address: str, port: int, protocol: str) -> bool:
        if (address, port, protocol) in named or (address, 0, "") in named:
            return True
        there = ipaddress.IPv4Address(address)
        return any(
            there in net and to.port in (0, port) and to.protocol in ("", protocol) for net, to in networks
        )

    return admitted


def named_by(reach: Reach, name: str) -> Iterator[Destination]:
    """The destinations of a rule that a name is of."""
    return (to for to in reach.to if reach.mode is ReachMode.ALLOW and names(to, name))


def is_address(text: str) -> bool:
    """Is it an IPv4 address?"""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def never(address: str) -> bool:
    """Does nothing lead there but a rule that names the address?"""
    return any(ipaddress.IPv4Address(address) in network for network in NEVER)
