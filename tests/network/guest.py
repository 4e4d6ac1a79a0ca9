"""A guest without a machine: a second kernel network stack behind the branch's tap."""

import errno
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from pyroute2.iproute.linux import IPRoute

from core.network import GATEWAY, GUEST_ADDRESS, GUEST_MAC, Network, namespace
from core.network.tap import open_tap
from tests.network.frames import VNET_HEADER, checksum

T = TypeVar("T")

iproute: Callable[[], Any] = IPRoute
"""pyroute2's own client, which has no types: it asks the kernel what our messages did."""

NIC_IFINDEX = 2


class Guest:
    """A namespace with the guest's NIC; a thread carries frames between it and a branch's tap."""

    def __init__(self, network: Network) -> None:
        assert network.tap_fd is not None
        self._tap_fd = os.dup(network.tap_fd)
        self._nic_fd, self._namespace_fd = namespace.in_thread(_boot)
        self._stop_reading, self._stop_writing = os.pipe()
        self._sockets: list[socket.socket] = []
        self._carrier = threading.Thread(target=self._carry)
        self._carrier.start()

    def __enter__(self) -> "Guest":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._stop_writing)
        self._carrier.join()
        for sock in self._sockets:
            sock.close()
        for fd in (self._stop_reading, self._nic_fd, self._tap_fd, self._namespace_fd):
            os.close(fd)

    def inside(self, work: Callable[[], T]) -> T:
        """Do something as a program in the guest."""
        return namespace.inside(self._namespace_fd, work)

    def listen(self, port: int) -> socket.socket:
        """A listening socket in the guest."""
        listening = self.inside(lambda: socket.create_server(("", port)))
        listening.settimeout(2)
        self._sockets.append(listening)
        return listening

    def _carry(self) -> None:
        other = {self._tap_fd: self._nic_fd, self._nic_fd: self._tap_fd}
        while True:
            ready, _, _ = select.select([*other, self._stop_reading], [], [])
            if self._stop_reading in ready:
                return
            for fd in ready:
                _copy_frame(fd, other[fd])


def _boot() -> tuple[int, int]:
    namespace_fd = namespace.unshare()
    nic_fd = open_tap("eth0", NIC_IFINDEX)
    with iproute() as ip:
        ip.link("set", index=NIC_IFINDEX, address=GUEST_MAC, state="up")
        ip.addr("add", index=NIC_IFINDEX, address=GUEST_ADDRESS, prefixlen=24)
        ip.route("add", gateway=GATEWAY)
    return nic_fd, namespace_fd


def _copy_frame(source: int, target: int) -> None:
    try:
        os.write(target, os.read(source, 65536))
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EIO):  # EIO: the tap's link is down
            raise


def ping(address: str, timeout_s: float = 1) -> bool:
    """Whether an echo request from the thread's namespace is answered."""
    body = struct.pack("!BBHHH", 8, 0, 0, 77, 1)
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        sock.settimeout(timeout_s)
        sock.sendto(body, (address, 0))
        try:
            while True:
                packet, (sender, _) = sock.recvfrom(2048)
                if packet[20] == 0 and sender == address:
                    return True
        except TimeoutError:
            return False


def can_connect(address: str, port: int, timeout_s: float = 2.0) -> bool:
    """Whether a TCP connection from the thread's namespace is made in time."""
    try:
        socket.create_connection((address, port), timeout_s).close()
    except OSError:
        return False
    return True


def send(network: Network, frame: bytes) -> None:
    """Send a frame as the guest would."""
    assert network.tap_fd is not None
    os.write(network.tap_fd, frame)


def received(network: Network, seconds: float) -> list[bytes]:
    """What arrives at the guest in that time, without the vnet headers."""
    assert network.tap_fd is not None
    found = []
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([network.tap_fd], [], [], left)[0]:
            found.append(os.read(network.tap_fd, 65536)[len(VNET_HEADER) :])
    return found
