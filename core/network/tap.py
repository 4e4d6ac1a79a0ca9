"""The tap a guest's NIC is attached to. Constants: linux/if_tun.h."""

import fcntl
import os
import re
import struct
from pathlib import Path

from core import host
from core.errors import Conflict, Unsupported
from core.files import want_of_means
from core.network.faults import FULL

DEVICE = "/dev/net/tun"

_TUNSETIFF = 0x4004_54CA
_TUNSETPERSIST = 0x4004_54CB
_TUNSETIFINDEX = 0x4004_54DA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000


def missing() -> str:
    """Why taps cannot be made, where the device was refused, and what helps."""
    return f"{DEVICE} is missing or not openable: {host.device_fix(Path(DEVICE), 'tun') or 'modprobe tun'}"


def open_tap(name: str, ifindex: int) -> int:
    """Make a tap, link down, in the namespace the calling thread is in; returns its descriptor.

    The tap is persistent: the close of the last descriptor of one that is not takes 35 ms, whoever does it.
    It ends with its namespace instead.
    """
    try:
        fd = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in FULL:
            raise
        raise Unsupported(missing()) from error
    try:
        fcntl.ioctl(fd, _TUNSETIFINDEX, struct.pack("=I", ifindex))
        fcntl.ioctl(
            fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR)
        )
        fcntl.ioctl(fd, _TUNSETPERSIST, 1)
    except BaseException:
        os.close(fd)
        raise
    return fd


def tap_of(pid: int, descriptor: int) -> str:
    """The name of the tap behind a process's descriptor. Conflict when it is none."""
    try:
        told = Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text()
    except OSError as error:
        failure = Conflict(f"process {pid} has no tap: {error.strerror}")
        raise want_of_means(error, f"process {pid}") or failure from error
    found = re.search(r"^iff:\s*(\S+)$", told, re.MULTILINE)
    if found is None:
        raise Conflict(f"descriptor {descriptor} of process {pid} is no tap")
    return found[1]
