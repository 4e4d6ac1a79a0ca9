"""`BranchNetwork` in memory: a namespace is a file in memory, known by its inode as a real one is."""

import errno
import os
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from core.errors import Conflict
from core.network.addresses import TAP, TAPS, Pair, address_of
from core.network.faults import mapped
from core.network.protocol import Heard, NetworkInfo
from core.network.ties import Ties
from core.reach import NOWHERE, Attempt, Reach, Traffic


@dataclass
class TwinNetwork:
    """The network of one branch. `linked` is the tap that frames pass, None while all are dropped."""

    hub: "TwinHub"
    index: int
    namespace_fd: int
    tap_fd: int | None
    tap_name: str = TAP
    linked: str | None = None
    reach: Reach | None = NOWHERE
    ties: Ties = field(default_factory=Ties)
    info: NetworkInfo = field(init=False)
    _second_fd: int | None = None
    _closed: bool = False

    def __post_init__(self) -> None:
        inode = os.fstat(self.namespace_fd).st_ino
        self.info = NetworkInfo(address_of(self.index), f"net:[{inode}]", self.tap_name)

    def reached_at(self, address: str) -> None:
        """Have another address than what follows from the index: one at which a test listens."""
        self.info = replace(self.info, address=address)

    def set_link(self, up: bool) -> None:
        """Of the tap that the machine has."""
        self._check()
        self.linked = self.tap_name if up else None

    def set_reach(self, reach: Reach) -> int:
        """Nothing is open that could end."""
        self._check()
        self.reach = self.hub.reaches[self.index] = reach
        return 0

    def tie(self, name: str, addresses: Sequence[str], ttl_s: int) -> None:
        """Remember it."""
        self._check()
        self.ties.add(name, addresses, ttl_s)

    def outward_socket(self) -> socket.socket:
        """As any of this host's."""
        self._check()
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def second_tap(self) -> int:
        """Made anew."""
        self._check()
        self.drop_second_tap()
        self._second_fd = _file("twin-tap")
        return self._second_fd

    def switch(self) -> None:
        """The taps change places."""
        self._check()
        if self._second_fd is None:
            raise Conflict(f"the network {self.info.address} has no second tap")
        self.tap_name = next(name for name in TAPS if name != self.tap_name)
        self.info = replace(self.info, tap=self.tap_name)
        self.tap_fd, self._second_fd, self.linked = self._second_fd, self.tap_fd, self.tap_name

    def drop_second_tap(self) -> None:
        """Close it."""
        self._check()
        descriptor, self._second_fd = self._second_fd, None
        if descriptor is not None:
            os.close(descriptor)

    def reset(self) -> None:
        """There are no connections."""
        self._check()

    def close(self) -> None:
        """Give up descriptors and index."""
        if self._closed:
            return
        self._closed = True
        self.hub.namespaces.pop(self.index, None)
        self.hub.reaches.pop(self.index, None)
        for descriptor in (self.namespace_fd, self.tap_fd, self._second_fd):
            if descriptor is not None:
                os.close(descriptor)

    def _check(self) -> None:
        with mapped(f"using the network {self.info.address}"):
            if self._closed:
                raise OSError(errno.ENODEV, "the network is closed")


class TwinHub:
    """Knows the namespaces there are by their inodes."""

    def __init__(self) -> None:
        self.namespaces: dict[int, int] = {}
        self.reaches: dict[int, Reach] = {}
        self.attempts: dict[int, tuple[Attempt, ...]] = {}
        self.pairs: frozenset[Pair] = frozenset()
        self.asleep: frozenset[int] = frozenset()
        self.heard: Heard | None = None
        self.connections: frozenset[str] = frozenset()
        self.guests_at = ""  # where a test listens in the place of every guest

    def prepare(self) -> None:
        """Nothing is to be made ready."""

    def create(self, index: int) -> TwinNetwork:
        """A network with its link down."""
        address = address_of(index)
        if index in self.namespaces:
            raise Conflict(f"making the network {address}: File exists")
        network = TwinNetwork(self, index, _file("twin-namespace"), _file("twin-tap"))
        self.namespaces[index] = os.fstat(network.namespace_fd).st_ino
        if self.guests_at:
            network.reached_at(self.guests_at)
        return network

    def adopt(self, index: int, namespace_fd: int, tap_name: str = TAP) -> TwinNetwork:
        """One of an earlier daemon's."""
        known = self.namespaces.get(index) == os.fstat(namespace_fd).st_ino
        if not (known and tap_name in TAPS):
            raise Conflict(f"that namespace is not the network {address_of(index)}")
        return TwinNetwork(self, index, namespace_fd, None, tap_name, reach=None)

    def list(self) -> tuple[int, ...]:
        """Those there are."""
        return tuple(sorted(self.namespaces))

    def set_pairs(self, wanted: Collection[Pair]) -> None:
        """Nothing is open that could end."""
        self.pairs = frozenset(wanted)

    def set_asleep(self, indexes: Collection[int]) -> None:
        """Remember them."""
        self.asleep = frozenset(indexes)

    def shield(self, addresses: Sequence[str]) -> None:
        """There is no host."""

    def traffic(self) -> dict[int, Traffic]:
        """Nobody sends anything."""
        return {}

    def connected(self) -> frozenset[str]:
        """Those that a test says."""
        return self.connections

    def listen(self) -> Heard | None:
        """What a test says; nobody can tell where it says nothing."""
        return self.heard

    def refused(self) -> dict[int, tuple[Attempt, ...]]:
        """What a test says."""
        return self.attempts

    def sweep(self, keep: set[int]) -> tuple[int, ...]:
        """Forget the others."""
        leftover = tuple(index for index in self.list() if index not in keep)
        for index in leftover:
            del self.namespaces[index]
        return leftover


def _file(name: str) -> int:
    return os.memfd_create(name, os.MFD_CLOEXEC)
