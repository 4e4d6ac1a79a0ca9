"""The address plan: every name, number and MAC a branch network has follows from its index."""

import re
import socket

from core.errors import NoRoom, UsageError

GUEST_MAC = "52:54:00:76:74:75"
"""MAC of every guest's NIC; the same in all, so that a restored guest finds itself unchanged."""
GUEST_ADDRESS = "10.0.2.15"
GATEWAY = "10.0.2.2"
"""The guest's default gateway: `tap0` in its namespace."""
GATEWAY_MAC = "52:54:00:76:74:02"
"""Fixed, so that the ARP cache a guest wakes up with is right."""
GUEST_PREFIX = 24
GUEST_RESOLVER = "10.0.2.3"
"""Whom every guest asks for names: led to the hub's address, where our resolver listens."""
RESOLVER_PORT = 53
SWAPPER_PORT = 3128
"""Of the same address: the HTTP proxy by which secrets leave (`core.swap`)."""

HUB_ADDRESS = "10.77.255.254"
"""Where connections of the daemon to a guest come from; above every branch address."""
BRANCH_NETWORK = "10.77.0.0"
BRANCH_PREFIX = 16
BRANCHES_REVERSED = ".77.10.in-addr.arpa"
"""How names end by which the names at branch addresses are asked for."""
MAX_INDEX = 60_000

TAP = "tap0"
UPLINK = "up0"
EGRESS = "eg0"
"""The one other interface a hub may have: the way out, attached by the porter."""
EGRESS_ADDRESS, EGRESS_GATEWAY, EGRESS_RESOLVER = "10.77.254.2", "10.77.254.1", "10.77.254.3"
"""On it, above every branch address: ours, whom we send to, and who asks the host's own resolver."""
EGRESS_PREFIX = 24

UPLINK_MAC = "02:00:00:76:74:01"
VETH_MAC = "02:00:00:76:74:02"
"""Each veth pair is a link of its own, so all pairs share two MACs and neighbours can be entered ahead."""

TAP_IFINDEX = 100
UPLINK_IFINDEX = 101
TAPS = {TAP: TAP_IFINDEX, "tap1": 102}
"""A branch's machine has one of these; the other is there while a second process takes over from the first."""
VETH_IFINDEX_BASE = 1000
"""Interface numbers are chosen by us: messages that name an interface can be sent without asking for it."""

Pair = tuple[int, int]
"""The indexes of two branches, the lower one first."""

_VETH = re.compile(r"v([1-9][0-9]{0,4})")


def address_of(index: int) -> str:
    """The branch address of `index`: 1 is 10.77.0.1, 300 is 10.77.1.44.

    Raises UsageError below 1 and NoRoom above MAX_INDEX.
    """
    if index < 1:
        raise UsageError(f"network index {index} is not a positive number")
    if index > MAX_INDEX:
        raise NoRoom(f"network index {index}: a hub has room for {MAX_INDEX} branches; prune some")
    return f"10.77.{index >> 8}.{index & 255}"


def index_at(address: str) -> int:
    """The index whose address this is."""
    return int.from_bytes(socket.inet_aton(address)[2:], "big")


def veth_of(index: int) -> str:
    """Name of the hub's end of the branch's veth pair."""
    return f"v{index}"


def index_of(name: str) -> int | None:
    """The index a hub interface belongs to; None when it is not a branch's."""
    match = _VETH.fullmatch(name)
    return int(match[1]) if match else None
