"""`HubNetwork`: branch networks in the namespace this process is in.

The holder makes that namespace; nothing is ever made in the host's, and a hub that looks like one is refused.
"""

import errno
import os
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import ExitStack

from core.errors import Conflict, Unsupported
from core.network import conntrack, diag, messages, namespace, netlink, nft, pairs, rules, tap
from core.network.addresses import (
    BRANCH_NETWORK,
    BRANCH_PREFIX,
    EGRESS,
    HUB_ADDRESS,
    TAP,
    TAP_IFINDEX,
    TAPS,
    UPLINK,
    UPLINK_IFINDEX,
    UPLINK_MAC,
    VETH_IFINDEX_BASE,
    VETH_MAC,
    Pair,
    address_of,
    index_at,
    index_of,
    veth_of,
)
from core.network.attempts import Attempts
from core.network.branch import HubBranch, gateway, remove_veth
from core.network.faults import mapped
from core.network.forgetting import Forgetting, remembered
from core.network.forms import Message
from core.reach import Attempt, Traffic

_FALLBACK_TUNNELS = {
    "tunl0", "gre0", "gretap0", "erspan0", "sit0", "ip_vti0", "ip6_vti0", "ip6tnl0", "ip6gre0",
}  # fmt: skip
"""What the kernel puts into every new namespace when the modules are loaded."""


class HubNetwork:
    """The `BranchNetwork` of a hub. Thread-safe: what it knows, it asks the kernel."""

    def __init__(self) -> None:
        """Hold the namespace of this process; raises Unsupported when it is the host's."""
        # Several at once only queue on the kernel's rtnl lock, and lose a third of the time on the way.
        self._one_at_a_time = threading.Lock()
        self._forgetting = Forgetting()
        with mapped("opening the hub's namespace"):
            self._hub_fd = namespace.open_of_process()
        try:
            with mapped("looking at the hub"):
                namespace.inside(self._hub_fd, _refuse_host)
        except BaseException:
            os.close(self._hub_fd)
            raise

    def close(self) -> None:
        """Give up the hub's descriptor, after the last use of its branches; idempotent.

        Networks that were not closed go on and can be adopted.
        """
        hub_fd, self._hub_fd = self._hub_fd, -1
        if hub_fd >= 0:
            os.close(hub_fd)

    def prepare(self) -> None:
        """Loopback with the hub's address, forwarding, and the hub's rules; idempotent."""
        with mapped("preparing the hub"):
            namespace.inside(self._hub_fd, _prepare_hub)

    def create(self, index: int) -> HubBranch:
        """Make a branch network, link down; on failure nothing is left."""
        address = address_of(index)
        with self._one_at_a_time, mapped(f"making the network {address}"):
            return namespace.in_thread(lambda: self._create(index, address))

    def adopt(self, index: int, namespace_fd: int, tap_name: str = TAP) -> HubBranch:
        """Take over a network made by an earlier daemon; owns the descriptor unless it raises."""
        address = address_of(index)
        with mapped(f"adopting the network {address}"):
            known = tap_name in TAPS and index in self.list()
            if not known or not namespace.inside(namespace_fd, lambda: _is_branch(address, tap_name)):
                raise Conflict(
                    f"that namespace is not the network {address}, or it has lost its link to the hub"
                )
            branch = HubBranch(
                index, namespace_fd, None, self._hub_fd, self._forgetting, tap_name, reach=None
            )
            branch.drop_second_tap()
            return branch

    def list(self) -> tuple[int, ...]:
        """Indexes of the veths in the hub, ascending."""
        with mapped("listing networks"):
            names = namespace.inside(self._hub_fd, socket.if_nameindex)
        return tuple(sorted(index for _, name in names if (index := index_of(name)) is not None))

    def sweep(self, keep: set[int]) -> tuple[int, ...]:
        """Remove what there is of all other indexes; returns those."""
        with mapped("sweeping networks"):
            known = {*self.list(), *namespace.inside(self._hub_fd, remembered)}
            leftover = tuple(sorted(known - keep))
            namespace.inside(self._hub_fd, lambda: self._forget(leftover))
        return leftover

    def _forget(self, indexes: tuple[int, ...]) -> None:
        for index in indexes:
            remove_veth(index)
            self._forgetting.forget(index)

    def set_pairs(self, wanted: Collection[Pair]) -> None:
        """Let exactly these pairs of branches talk to each other; connections of others are cut."""
        with mapped("linking branches"):
            namespace.inside(self._hub_fd, lambda: pairs.let(wanted))

    def set_asleep(self, indexes: Collection[int]) -> None:
        """Have what linked branches send to these told of by `listen`."""
        with mapped("watching for whom suspended branches wake"):
            namespace.inside(self._hub_fd, lambda: nft.apply(rules.asleep(indexes)))

    def shield(self, addresses: Sequence[str]) -> None:
        """Keep the host's own addresses from branches whose egress is open."""
        with mapped("shielding the host"):
            namespace.inside(self._hub_fd, lambda: nft.apply(rules.shielded(addresses)))

    def traffic(self) -> dict[int, Traffic]:
        """What each branch let out and in, and was refused, by its index."""
        with mapped("counting what branches send"):
            passed, refused = namespace.inside(
                self._hub_fd, lambda: [nft.elements("set", name) for name in ("traffic", "refusals")]
            )
        counts = {index_at(one["val"]): one["counter"] for one in passed}
        stopped = {index_at(one["val"]): one["counter"]["packets"] for one in refused}
        return {
            index: Traffic(**counts.get(index, {}), refused=stopped.get(index, 0))
            for index in counts.keys() | stopped.keys()
        }

    def connected(self) -> frozenset[str]:
        """Addresses of the branches that have TCP connections: with the outside, each other, or whoever came in."""
        with mapped("listing connections"):
            found = namespace.inside(self._hub_fd, lambda: conntrack.connected() | diag.peers())
        return frozenset(found.intersection(map(address_of, self.list())))

    def refused(self) -> dict[int, tuple[Attempt, ...]]:
        """Where each branch tried to go and may not, of the last hour, by its index."""
        with mapped("listing what branches were refused"):
            found = namespace.inside(self._hub_fd, lambda: nft.elements("set", "refused"))
        told, now = defaultdict[int, tuple[Attempt, ...]](tuple), time.time()
        for one in found:
            source, target, protocol, port = one["val"]["concat"]
            ago = rules.REMEMBERED_S - one["expires"]
            times = one["counter"]["packets"]
            told[index_at(source)] += (Attempt(target, port, protocol, times, now - ago),)
        return told

    def listen(self) -> Attempts | None:
        """What is refused from now on, as it is tried; None where the kernel cannot tell."""
        try:
            return namespace.inside(self._hub_fd, Attempts)
        except (OSError, Unsupported):
            return None

    def _create(self, index: int, address: str) -> HubBranch:
        """The work of `create`, in a thread that leaves the hub for good."""
        with ExitStack() as undo:
            namespace_fd = namespace.unshare()
            undo.callback(os.close, namespace_fd)
            _harden()
            tap_fd = tap.open_tap(TAP, TAP_IFINDEX)
            undo.callback(os.close, tap_fd)
            ifindex = VETH_IFINDEX_BASE + index
            netlink.send(_veth(veth_of(index), ifindex, self._hub_fd))
            undo.callback(namespace.inside, self._hub_fd, lambda: remove_veth(index))
            _furnish(address)
            namespace.enter(self._hub_fd)
            netlink.send(
                messages.link_state(ifindex=ifindex, up=True),
                messages.neighbour(ifindex=ifindex, ip=address, mac=UPLINK_MAC),
                messages.host_route(ip=address, ifindex=ifindex, source=HUB_ADDRESS),
            )
            branch = HubBranch(index, namespace_fd, tap_fd, self._hub_fd, self._forgetting)
            undo.pop_all()
            return branch


def _refuse_host() -> None:
    strangers = [
        name
        for _, name in socket.if_nameindex()
        if index_of(name) is None and name not in {"lo", EGRESS, *_FALLBACK_TUNNELS}
    ]
    if namespace.is_initial() or strangers:
        found = f" (it has {', '.join(strangers[:3])})" if strangers else ""
        raise Unsupported(
            f"this process is in the host's network namespace{found}; branch networks are made "
            "only in a private one: start the daemon with `vertui daemon start`"
        )


def _prepare_hub() -> None:
    _harden()
    netlink.send(
        messages.link_state(ifindex=messages.LOOPBACK_IFINDEX, up=True),
        messages.address(ifindex=messages.LOOPBACK_IFINDEX, ip=HUB_ADDRESS, prefix=32),
        messages.unreachable_route(ip=BRANCH_NETWORK, prefix=BRANCH_PREFIX),
        messages.last_route(ifindex=messages.LOOPBACK_IFINDEX),
    )
    nft.apply(rules.HUB)
    namespace.write_sysctl("netfilter/nf_conntrack_tcp_loose", 0)


def _harden() -> None:
    """Before any link is made, since links take the defaults: IPv4 only, forwarding, no address but its own."""
    namespace.write_sysctl("ipv4/ip_forward", 1)
    namespace.write_sysctl("ipv4/conf/default/rp_filter", 1)
    try:
        namespace.write_sysctl("ipv6/conf/default/disable_ipv6", 1)
    except OSError as error:
        if error.errno != errno.ENOENT:  # a kernel without IPv6 has nothing to turn off
            raise


def _veth(name: str, ifindex: int, hub_fd: int) -> Message:
    inner = messages.End(UPLINK, UPLINK_IFINDEX, UPLINK_MAC)
    return messages.veth(inner=inner, name=name, ifindex=ifindex, mac=VETH_MAC, descriptor=hub_fd)


def _furnish(address: str) -> None:
    """Addresses, routes and rules of a branch's namespace, whose links exist."""
    netlink.send(
        messages.link_state(ifindex=messages.LOOPBACK_IFINDEX, up=True),
        *gateway(TAP),
        messages.address(ifindex=UPLINK_IFINDEX, ip=address, prefix=32),
        messages.neighbour(ifindex=UPLINK_IFINDEX, ip=HUB_ADDRESS, mac=VETH_MAC),
        messages.default_route(ip=HUB_ADDRESS, ifindex=UPLINK_IFINDEX),
    )
    bounded = nft.accepts(rules.COUNTING)
    nft.apply(rules.branch(address, bounded=bounded) + rules.guard(TAP, bounded=bounded))
    namespace.write_sysctl("netfilter/nf_conntrack_tcp_loose", 0)


def _is_branch(address: str, tap_name: str) -> bool:
    """Whether the thread is in the namespace of that address: only there can it be bound."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((address, 0))
            socket.if_nametoindex(tap_name)
        except OSError:
            return False
    return True
