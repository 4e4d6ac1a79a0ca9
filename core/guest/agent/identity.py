"""What makes a forked machine distinct, done while everything else is frozen.

Nothing touches the root disk: the files lie on the tmpfs /run and are bound over the names programs read. They are
made and bound once and rewritten in place afterwards, by open, truncate, write: readers are frozen meanwhile, and a
watch (inotify IN_MODIFY, IN_CLOSE_WRITE) on them, foremost on /run/vertui/generation, fires after the thaw.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import time
from binascii import a2b_base64, crc32
from typing import Any

from .kernel import bind_mount, read_file, write_file
from .sockets import close_outside

DIRECTORY = "/run/vertui"

BOUND = {
    "machine_id": "/etc/machine-id",
    "boot_id": "/proc/sys/kernel/random/boot_id",
    "hostname": "/etc/hostname",
    "ssh_host_key": "/etc/ssh/ssh_host_ed25519_key",
    "ssh_public_key": "/etc/ssh/ssh_host_ed25519_key.pub",
}
"""Field of the request → the name its value appears under. Both ends must exist in the image."""

_RNDADDENTROPY = 0x40085203
_RNDRESEEDCRNG = 0x5207


def assume(request: dict[str, Any]) -> dict[str, Any]:
    """Become the machine the request describes; returns what the guest now reads back. OSError on any failure."""
    _reseed(a2b_base64(request["seed"]))
    time.clock_settime_ns(time.CLOCK_REALTIME, int(request["unix_time_ns"]))
    socket.sethostname(request["hostname"])
    _make_directory()
    for field, name in BOUND.items():
        _present(
            name, f"{DIRECTORY}/identity/{field}", request[field] + "\n", private=field == "ssh_host_key"
        )
    closed = close_outside()
    write_file(f"{DIRECTORY}/generation", f"{request['generation']}\n".encode())
    return {"closed": closed, **_read_back()}


def _make_directory() -> None:
    for path in (DIRECTORY, f"{DIRECTORY}/identity"):
        if not os.access(path, os.F_OK):
            os.mkdir(path)  # noqa: PTH102


def _reseed(seed: bytes) -> None:
    """Credit the seed and have every CPU's generator start over from it (random(4))."""
    fd = os.open("/dev/random", os.O_WRONLY)
    try:
        fcntl.ioctl(fd, _RNDADDENTROPY, struct.pack("ii", len(seed) * 8, len(seed)) + seed)
        fcntl.ioctl(fd, _RNDRESEEDCRNG)
    finally:
        os.close(fd)


def _present(name: str, source: str, text: str, *, private: bool) -> None:
    """Let `name` read as `text`."""
    known = os.access(source, os.F_OK)
    write_file(source, text.encode(), 0o600 if private else 0o644)
    if not known:
        bind_mount(source, name)


def _read_back() -> dict[str, Any]:
    """What programs see from now on; of the private key only a checksum leaves the guest."""
    seen: dict[str, Any] = {field: read_file(name).decode().strip() for field, name in BOUND.items()}
    seen["ssh_host_key"] = crc32(seen["ssh_host_key"].encode())
    seen["kernel_hostname"] = socket.gethostname()
    seen["unix_time_ns"] = time.time_ns()
    seen["generation"] = read_file(f"{DIRECTORY}/generation").decode().strip()
    return seen
