"""The network of one branch, once it exists."""

import errno
import os
import threading
from dataclasses import dataclass, field

from core.network import namespace, rtnetlink
from core.network.addresses import GUEST_ADDRESS, GUEST_MAC, TAP, TAP_IFINDEX, address_of, veth_of
from core.network.faults import mapped
from core.network.protocol import NetworkInfo


@dataclass
class HubBranch:
    """A namespace, its tap and its veth into the hub. Made by `HubNetwork`."""

    index: int
    namespace_fd: int
    tap_fd: int | None
    hub_fd: int
    """The hub's namespace, borrowed from the `HubNetwork` that made this."""
    info: NetworkInfo = field(init=False)
    _closed: bool = field(default=False, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self.info = NetworkInfo(address_of(self.index), namespace.identity(self.namespace_fd), TAP)

    def set_link(self, up: bool) -> None:
        """Let frames pass, or drop all of them.

        The interface goes down, not only its carrier: without carrier the kernel still takes what the guest
        sends. Going down forgets neighbours, so the guest is entered again. Idempotent.
        """
        messages = [rtnetlink.link_state(TAP_IFINDEX, up)]
        if up:
            messages.append(rtnetlink.neighbour(TAP_IFINDEX, GUEST_ADDRESS, GUEST_MAC))
        with self._lock, mapped(f"setting the link of {self.info.address}"):
            if self._closed:
                raise OSError(errno.ENODEV, "the network is closed")
            namespace.inside(self.namespace_fd, lambda: rtnetlink.send(*messages))

    def close(self) -> None:
        """Remove the veth and give up the descriptors; idempotent.

        The index is free when this returns. The kernel takes the namespace and what is in it apart in the
        background, when the last copy of its descriptors (QEMU's tap, the holder's) is closed as well.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        try:
            with mapped(f"removing the network of {self.info.address}"):
                namespace.inside(self.hub_fd, lambda: remove_veth(self.index))
        finally:
            os.close(self.namespace_fd)
            if self.tap_fd is not None:
                os.close(self.tap_fd)


def remove_veth(index: int) -> None:
    """Remove the veth of `index` from the namespace the thread is in; it may be gone already.

    Takes 15–25 ms, nearly all of it the kernel waiting for RCU; several at once wait together.
    """
    try:
        rtnetlink.send(rtnetlink.delete_link(veth_of(index)))
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
