"""What the engine knows of networks: the seam `BranchNetwork` and the values that cross it."""

import socket
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.network.addresses import Pair
from core.network.ties import Ties
from core.reach import Attempt, Reach, Traffic


@dataclass(frozen=True)
class NetworkInfo:
    """What `ls` shows of a branch's network."""

    address: str
    """IPv4 address at which the hub reaches the guest."""
    namespace: str
    """Identity of the branch's namespace as the kernel writes it: `net:[4026532…]`."""
    tap: str
    """Name of the tap inside that namespace."""


class Network(Protocol):
    """The network of one branch."""

    @property
    def index(self) -> int:
        """The number its address and names follow from."""

    @property
    def info(self) -> NetworkInfo:
        """Address, namespace and tap."""

    @property
    def tap_fd(self) -> int | None:
        """Descriptor for QEMU (`-netdev tap,fd=`); None after `adopt`, where QEMU has it already."""

    @property
    def namespace_fd(self) -> int:
        """Descriptor that keeps the namespace alive; the holder keeps a copy."""

    def set_link(self, up: bool) -> None:
        """Let frames pass between guest and namespace, or drop all of them. Idempotent."""

    @property
    def reach(self) -> Reach | None:
        """What the guest may reach of the outside; None after `adopt`, until it is set again."""

    @property
    def ties(self) -> Ties:
        """What the guest's names were answered with."""

    def set_reach(self, reach: Reach) -> int:
        """Let the guest reach this of the outside and nothing else, from now on; how many connections that ended.

        What stays allowed goes on. On failure nothing has changed.
        """

    def tie(self, name: str, addresses: Sequence[str], ttl_s: int) -> None:
        """A name that the guest may ask for was answered: these addresses are it, for some time."""

    def outward_socket(self) -> socket.socket:
        """A TCP socket that leaves as what the guest sends does: by its rules, counted as its, and cut with it."""

    def second_tap(self) -> int:
        """Make a tap for a process that is to take over, link down; its descriptor, borrowed until it is dropped."""

    def switch(self) -> None:
        """Let frames pass the second tap instead of the first, which is the second from then on."""

    def drop_second_tap(self) -> None:
        """Remove the tap frames do not pass. Idempotent."""

    def reset(self) -> None:
        """End connections to the guest, the hub's and other branches', as their other ends are gone. Idempotent."""

    def close(self) -> None:
        """Cut the branch off, end connections to it, and give up the descriptors. Idempotent, never fails half way."""


@dataclass(frozen=True)
class Tried:
    """A packet that was refused, or waits for that: its ends (address, port), tcp or udp, and a segment's number."""

    source: tuple[str, int]
    target: tuple[str, int]
    protocol: str
    sequence: int = 0


class Heard(Protocol):
    """What branches are refused, as they try it."""

    def fileno(self) -> int:
        """Readable when there is something to `read`."""

    def read(self) -> Iterable[Tried]:
        """What came."""

    def reset(self, one: Tried) -> None:
        """Refuse a connection that waits for it."""

    def close(self) -> None:
        """Listen no more: from then on nothing waits."""


class BranchNetwork(Protocol):
    """Makes, finds and removes the networks of branches. Blocking; callable from any thread."""

    def prepare(self) -> None:
        """Make the hub ready. Idempotent: each start of a daemon calls it."""

    def create(self, index: int) -> Network:
        """Make the network of `index`, link down.

        On failure nothing is left. Raises Conflict when the index is taken, NoRoom beyond the address
        space or without descriptors or memory, Unsupported when the host cannot do it.
        """

    def adopt(self, index: int, namespace_fd: int, tap_name: str = ...) -> Network:
        """Take over the network of `index` from its namespace, and the tap its machine has; owns `namespace_fd`
        from then on. A second tap is removed.

        Raises Conflict, and leaves the descriptor to the caller, when that namespace is not the index's.
        """

    def list(self) -> tuple[int, ...]:
        """Indexes of the networks that exist, ascending."""

    def set_pairs(self, wanted: Collection[Pair]) -> None:
        """Let exactly these pairs of branches talk to each other from now on, whether they have networks now or not.

        Connections of pairs that may no more are ended. On failure nothing has changed.
        """

    def set_asleep(self, indexes: Collection[int]) -> None:
        """Have exactly these branches, which have no network, be looked for: what those linked with them begin is told
        of by `listen` while somebody does, and lost rather than refused, as it is sent again.
        """

    def shield(self, addresses: Sequence[str]) -> None:
        """Let no branch reach these, which are the host's own, but by a rule that names them or their names."""

    def traffic(self) -> dict[int, Traffic]:
        """What each branch let out and in, and was refused, by its index."""

    def connected(self) -> frozenset[str]:
        """Addresses of the branches that have TCP connections: with the outside, each other, or whoever came in."""

    def listen(self) -> Heard | None:
        """What is refused from now on, as it is tried; None where the kernel cannot tell."""

    def refused(self) -> dict[int, tuple[Attempt, ...]]:
        """Where each branch tried to go and may not, of the last hour, by its index."""

    def sweep(self, keep: set[int]) -> tuple[int, ...]:
        """Remove all networks but `keep`; returns the indexes removed."""
