"""The network of one branch, once it exists."""

import contextlib
import errno
import os
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.network import cut, messages, namespace, netlink, nft, pairs, rules, tap
from core.network.addresses import (
    GATEWAY,
    GATEWAY_MAC,
    GUEST_ADDRESS,
    GUEST_MAC,
    GUEST_PREFIX,
    GUEST_RESOLVER,
    TAP,
    TAPS,
    address_of,
    veth_of,
)
from core.network.diag import reset_connections
from core.network.faults import mapped
from core.network.forgetting import Forgetting
from core.network.forms import Message
from core.network.protocol import NetworkInfo
from core.network.ties import Ties, admits
from core.reach import NOWHERE, Reach, ReachMode

PROTOCOLS = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp"}


@dataclass
class HubBranch:
    """A namespace, its tap and its veth into the hub. Made by `HubNetwork`."""

    index: int
    namespace_fd: int
    tap_fd: int | None
    hub_fd: int
    """The hub's namespace, borrowed from the `HubNetwork` that made this, as is …"""
    forgetting: Forgetting
    """… who removes what the hub knows of it."""
    tap_name: str = TAP
    """The tap of the branch's machine."""
    info: NetworkInfo = field(init=False)
    reach: Reach | None = NOWHERE
    """What the guest may reach of the outside; None of an adopted one until that is set again."""
    ties: Ties = field(default_factory=Ties, init=False)
    _second_fd: int | None = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self.info = NetworkInfo(address_of(self.index), namespace.identity(self.namespace_fd), self.tap_name)

    def set_link(self, up: bool) -> None:
        """Let frames pass, or drop all of them.

        The interface goes down, not only its carrier: without carrier the kernel still takes what the guest
        sends. Going down forgets neighbours, so the guest is entered again. Idempotent.
        """
        with self._lock, mapped(f"setting the link of {self.info.address}"):
            self._check()
            requests = _up(self.tap_name) if up else [_down(self.tap_name)]
            namespace.inside(self.namespace_fd, lambda: netlink.send(*requests))

    def set_reach(self, reach: Reach) -> int:
        """Let the guest reach this of the outside and nothing else, from now on; how many connections that ended.

        What stays allowed goes on. On failure nothing has changed.
        """
        with self._lock, mapped(f"changing the egress of {self.info.address}"):
            self._check()
            if reach == self.reach:
                return 0
            ended = namespace.inside(self.hub_fd, lambda: self._change(reach))
            self.reach = reach
            return ended

    def tie(self, name: str, addresses: Sequence[str], ttl_s: int) -> None:
        """A name that the guest may ask for was answered: these addresses are it, for some time."""
        with self._lock, mapped(f"tying a name of {self.info.address}"):
            self._check()
            if self.ties.add(name, addresses, ttl_s) and self.reach and self.reach.mode is ReachMode.ALLOW:
                lines = list(rules.tied(self.index, self.ties.let_through(self.reach, name)))
                namespace.inside(self.hub_fd, lambda: nft.apply("\n".join(lines)))

    def _change(self, reach: Reach) -> int:
        """In the hub. No connection is open where nothing could be reached before."""
        if self.reach is None and not self._recall() and reach == NOWHERE:
            return 0
        ties = self.ties.let_through(reach)
        nft.apply(rules.egress(self.index, reach, ties))
        admitted = admits(reach, ties)
        if self.reach == NOWHERE:
            return 0
        return cut.cut(self.index, lambda flow: not admitted(*flow.target, PROTOCOLS.get(flow.protocol, "")))

    def _recall(self) -> bool:
        """Learn from the rules what an earlier daemon tied; could the guest reach anything?"""
        if not any(self.info.address in element for element in nft.elements("map", "egress")):
            return False
        for kind in "nh":
            for element in nft.elements("set", f"{kind}{self.index}"):
                address = element["val"]["concat"][0] if kind == "n" else element["val"]
                self.ties.add(element.get("comment", ""), [address], element["expires"])
        return True

    def outward_socket(self) -> socket.socket:
        """A TCP socket that leaves as what the guest sends does: by its rules, counted as its, and cut with it."""
        with self._lock, mapped(f"opening a socket of {self.info.address}"):
            self._check()
            return namespace.inside(
                self.namespace_fd, lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            )

    def second_tap(self) -> int:
        """Make the tap that the machine has not, link down; its descriptor, borrowed until the tap is dropped.

        For a process that takes over: a tap's header length and offloads are the device's, and QEMU sets them when
        it starts, so two processes on one device would garble each other's frames.
        """
        self.drop_second_tap()
        name = self._second()
        with self._lock, mapped(f"making a second tap for {self.info.address}"):
            self._check()
            self._second_fd = namespace.inside(self.namespace_fd, lambda: _make_tap(name))
            return self._second_fd

    def switch(self) -> None:
        """Let frames pass the second tap instead of the first, which is the second from then on. On failure they pass
        the first as before.
        """
        with self._lock, mapped(f"switching the taps of {self.info.address}"):
            self._check()
            old, new = self.tap_name, self._second()
            try:
                namespace.inside(self.namespace_fd, lambda: netlink.send(*_instead(old, new)))
            except OSError:
                with contextlib.suppress(OSError):  # of the tap that is not there
                    namespace.inside(self.namespace_fd, lambda: netlink.send(*_instead(new, old)))
                raise
            self.tap_name, self.info = new, replace(self.info, tap=new)
            self.tap_fd, self._second_fd = self._second_fd, self.tap_fd

    def drop_second_tap(self) -> None:
        """Remove the tap that the machine has not; idempotent. Takes some 20 ms, like any link."""
        name = self._second()
        with self._lock, mapped(f"removing a tap of {self.info.address}"):
            self._check()
            namespace.inside(self.namespace_fd, lambda: remove_link(name))
            descriptor, self._second_fd = self._second_fd, None
        if descriptor is not None:
            os.close(descriptor)

    def _second(self) -> str:
        return next(name for name in TAPS if name != self.tap_name)

    def _check(self) -> None:
        if self._closed:
            raise OSError(errno.ENODEV, "the network is closed")

    def reset(self) -> None:
        """Reset connections to the guest, of the hub and of branches: what a restored one knows of is none of these."""
        with mapped(f"resetting connections to {self.info.address}"):
            namespace.inside(self.hub_fd, self._reset)

    def _reset(self) -> None:
        reset_connections(self.info.address)
        pairs.part({self.index})

    def close(self) -> None:
        """Remove the veth, reset the hub's connections to the guest, and give up the descriptors; idempotent.

        The index is free when this returns. The kernel takes the namespace and what is in it apart in the
        background, when the last copy of its descriptors (QEMU's tap, the holder's) is closed as well.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        try:
            with mapped(f"removing the network of {self.info.address}"):
                namespace.inside(self.hub_fd, self._leave_hub)
        finally:
            for descriptor in (self.namespace_fd, self.tap_fd, self._second_fd):
                if descriptor is not None:
                    os.close(descriptor)

    def _leave_hub(self) -> None:
        remove_veth(self.index)
        reset_connections(self.info.address)
        self.forgetting.forget(self.index)


def gateway(tap_name: str) -> list[Message]:
    """What makes a tap its guest's default gateway. Of two only the one that is up has a route."""
    ifindex = TAPS[tap_name]
    return [
        messages.link_mac(ifindex=ifindex, mac=GATEWAY_MAC),
        messages.address(ifindex=ifindex, ip=GATEWAY, prefix=GUEST_PREFIX),
        messages.address(ifindex=ifindex, ip=GUEST_RESOLVER, prefix=32),
    ]


def _up(tap_name: str) -> list[Message]:
    ifindex = TAPS[tap_name]
    return [
        messages.link_state(ifindex=ifindex, up=True),
        messages.neighbour(ifindex=ifindex, ip=GUEST_ADDRESS, mac=GUEST_MAC),
    ]


def _down(tap_name: str) -> Message:
    return messages.link_state(ifindex=TAPS[tap_name], up=False)


def _instead(left: str, taken: str) -> list[Message]:
    return [_down(left), *_up(taken)]


def _make_tap(name: str) -> int:
    """A tap in the namespace the thread is in; on failure there is none."""
    descriptor = tap.open_tap(name, TAPS[name])
    try:
        netlink.send(*gateway(name))
        nft.apply(rules.guard(name, bounded=nft.accepts(rules.COUNTING)))
    except BaseException:
        os.close(descriptor)
        remove_link(name)
        raise
    return descriptor


def remove_veth(index: int) -> None:
    """Remove the veth of `index` from the namespace the thread is in; it may be gone already."""
    remove_link(veth_of(index))


def remove_link(name: str) -> None:
    """Remove a link from the namespace the thread is in; it may be gone already.

    Takes 15–25 ms, nearly all of it the kernel waiting for RCU; several at once wait together.
    """
    try:
        netlink.send(messages.delete_link(name=name))
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
