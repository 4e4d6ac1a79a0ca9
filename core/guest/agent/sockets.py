"""Closes TCP connections to the outside: after a fork their peer talks to another machine.

What `ss -K` does, without a process: the connections are read from /proc/net/tcp and tcp6, and the kernel is told by
SOCK_DESTROY (sock_diag(7)) to reset each one whose peer is neither loopback nor an address of this machine.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from contextlib import suppress
from typing import NamedTuple

from .kernel import read_proc, read_whole_proc

_NETLINK_SOCK_DIAG = 4
_SOCK_DESTROY = 21
_NLM_F_REQUEST, _NLM_F_ACK = 1, 4
_NLMSG_ERROR = 2
_SIOCGIFADDR = 0x8915
_ENOENT = 2

_LISTEN, _TIME_WAIT, _CLOSE = 0x0A, 0x06, 0x07
_NO_COOKIE = b"\xff" * 8
_ALL_STATES = 0xFFFFFFFF

_MAPPED = b"\0" * 10 + b"\xff\xff"
"""Prefix of an IPv4 address within IPv6."""


class Connection(NamedTuple):
    """One end of a TCP connection; addresses in network byte order."""

    family: int
    local: bytes
    local_port: int
    remote: bytes
    remote_port: int


def close_outside() -> int:
    """Reset every connection that leaves this machine; returns how many. OSError when the kernel cannot."""
    outside = [*_outside("net/tcp", socket.AF_INET), *_outside("net/tcp6", socket.AF_INET6)]
    if outside:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
            for connection in outside:
                _destroy(netlink, connection)
    return len(outside)


def _outside(path: str, family: int) -> list[Connection]:
    if not _in_use(family):
        return []
    connections = parse(read_whole_proc(path).decode(), family)
    own = _own_addresses() if connections else set()
    return [connection for connection in connections if not is_own(connection.remote, own)]


def _in_use(family: int) -> bool:
    """Is any TCP socket open at all? Much cheaper to ask than the table, for which the kernel walks its hash."""
    try:
        counts = read_proc("net/sockstat6" if family == socket.AF_INET6 else "net/sockstat")
    except FileNotFoundError:  # a kernel without IPv6
        return False
    lines = counts.decode().rstrip("\n").split("\n")
    return any(line.split()[2] != "0" for line in lines if line.startswith("TCP"))


def parse(table: str, family: int) -> list[Connection]:
    """The connections (not listeners, nor what is closed already) of a /proc/net/tcp{,6} table."""
    found = []
    for line in table.rstrip("\n").split("\n")[1:]:
        _, local, remote, state = line.split()[:4]
        if int(state, 16) not in (_LISTEN, _TIME_WAIT, _CLOSE):
            found.append(Connection(family, *_endpoint(local), *_endpoint(remote)))
    return found


def _endpoint(text: str) -> tuple[bytes, int]:
    """`0100007F:0016` → address and port; the kernel prints each 32-bit word of an address in host order."""
    address, port = text.split(":")
    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    return struct.pack(f"={len(words)}I", *words), int(port, 16)


def is_own(address: bytes, own: set[bytes]) -> bool:
    """Is this loopback or one of the machine's own addresses?"""
    if address.startswith(_MAPPED):
        address = address[len(_MAPPED) :]
    loopback = address[0] == 127 if len(address) == 4 else address == bytes(15) + b"\1"
    return loopback or address in own


def _own_addresses() -> set[bytes]:
    own = set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", os.fsencode(name)))
            except OSError:  # an interface without an IPv4 address
                continue
            own.add(answer[20:24])
    with suppress(FileNotFoundError):
        own |= {
            bytes.fromhex(line[:32].decode())  # what follows holds a name, which may be almost any bytes
            for line in read_proc("net/if_inet6").rstrip(b"\n").split(b"\n")
            if line
        }
    return own


def _destroy(netlink: socket.socket, connection: Connection) -> None:
    """Send SOCK_DESTROY for one connection and wait for the kernel's word; it being gone already is fine."""
    ports = struct.pack("!HH", connection.local_port, connection.remote_port)
    addresses = connection.local.ljust(16, b"\0") + connection.remote.ljust(16, b"\0")
    request = struct.pack("=BBBxI", connection.family, socket.IPPROTO_TCP, 0, _ALL_STATES)
    body = request + ports + addresses + struct.pack("=I", 0) + _NO_COOKIE
    header = struct.pack("=IHHII", 16 + len(body), _SOCK_DESTROY, _NLM_F_REQUEST | _NLM_F_ACK, 1, 0)
    netlink.send(header + body)
    kind, error = struct.unpack_from("=4xH10xi", netlink.recv(4096))
    if kind == _NLMSG_ERROR and error not in (0, -_ENOENT):
        raise OSError(-error, f"cannot close a connection to the outside: {os.strerror(-error)}")
