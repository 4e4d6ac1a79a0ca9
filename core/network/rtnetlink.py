"""Links, addresses, routes and neighbours: the few rtnetlink messages a branch needs, sent in batches.

Encoded here because it is on the path of every fork: a message costs 10–20 µs this way, 250–600 µs (with the
interpreter's lock held) through pyroute2's encoders, and importing those takes 0.4 s. Layouts: rtnetlink(7),
linux/if_link.h, linux/rtnetlink.h, linux/neighbour.h. The tests read the results back through pyroute2.
"""

import os
import socket
import struct
from dataclasses import dataclass

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_REQUEST, _ACK, _REPLACE, _EXCL, _CREATE = 0x1, 0x4, 0x100, 0x200, 0x400
_NLMSG_ERROR = 2
_NEWLINK, _DELLINK, _NEWADDR, _NEWROUTE, _NEWNEIGH = 16, 17, 20, 24, 28

_IFF_UP = 1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 1, 3, 18, 28
_INFO_KIND, _INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC = 1, 4, 5, 7
_NDA_DST, _NDA_LLADDR = 1, 2
_TABLE_MAIN, _PROTO_STATIC, _SCOPE_GLOBAL, _SCOPE_LINK = 254, 4, 0, 253
_RTN_UNICAST, _RTN_UNREACHABLE, _RTNH_F_ONLINK = 1, 7, 4
_NUD_PERMANENT = 0x80

_RECEIVE_BYTES = 65536

LOOPBACK_IFINDEX = 1


@dataclass(frozen=True)
class Message:
    """One request, and the words an error about it starts with."""

    what: str
    kind: int
    flags: int
    body: bytes


@dataclass(frozen=True)
class End:
    """One end of a veth pair; `ifindex` is ours to choose."""

    name: str
    ifindex: int
    mac: str


def send(*messages: Message) -> None:
    """Send all in one batch to the namespace the thread is in.

    The kernel goes on after a failure; the first one is raised as OSError naming what failed.
    """
    batch = b"".join(
        _HEADER.pack(16 + len(m.body), m.kind, m.flags | _REQUEST | _ACK, number, 0) + m.body
        for number, m in enumerate(messages)
    )
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    ) as sock:
        sock.send(batch)
        results: dict[int, int] = {}
        while len(results) < len(messages):
            results.update(_results(sock.recv(_RECEIVE_BYTES)))
    for number, message in enumerate(messages):
        if results[number]:
            raise OSError(results[number], f"{message.what}: {os.strerror(results[number])}")


def _results(data: bytes) -> dict[int, int]:
    """Sequence number → errno (0: done) of every acknowledgement in a datagram."""
    found: dict[int, int] = {}
    while len(data) >= _HEADER.size:
        length, kind, _flags, sequence, _port = _HEADER.unpack_from(data)
        if kind == _NLMSG_ERROR:
            found[sequence] = -struct.unpack_from("=i", data, _HEADER.size)[0]
        data = data[_aligned(length) :]
    return found


def link_state(ifindex: int, up: bool) -> Message:
    """Bring an interface up or down."""
    return Message(f"setting link {ifindex}", _NEWLINK, 0, _link(ifindex, int(up), _IFF_UP))


def link_mac(ifindex: int, mac: str) -> Message:
    """Give an interface its MAC."""
    body = _link(ifindex, 0, 0) + _attribute(_IFLA_ADDRESS, _mac(mac))
    return Message(f"setting the MAC of link {ifindex}", _NEWLINK, 0, body)


def veth(inner: End, outer: End, outer_namespace_fd: int) -> Message:
    """A pair: `inner` in this namespace, up; `outer` in the other, down (a peer cannot be made up: ENOTCONN)."""
    peer = _end(outer, 0) + _attribute(_IFLA_NET_NS_FD, struct.pack("=I", outer_namespace_fd))
    info = _attribute(_INFO_KIND, b"veth\0") + _attribute(_INFO_DATA, _attribute(_VETH_INFO_PEER, peer))
    body = _end(inner, _IFF_UP) + _attribute(_IFLA_LINKINFO, info)
    return Message(f"making veth {outer.name}", _NEWLINK, _CREATE | _EXCL, body)


def delete_link(name: str) -> Message:
    """Remove an interface, and with a veth its other end."""
    return Message(f"removing link {name}", _DELLINK, 0, _link(0, 0, 0) + _name(name))


def address(ifindex: int, ip: str, prefix: int) -> Message:
    """Add an address; it may be there already."""
    body = struct.pack("=BBBBI", socket.AF_INET, prefix, 0, _SCOPE_GLOBAL, ifindex)
    body += _attribute(_IFA_LOCAL, socket.inet_aton(ip)) + _attribute(_IFA_ADDRESS, socket.inet_aton(ip))
    return Message(f"adding address {ip}", _NEWADDR, _CREATE | _REPLACE, body)


def neighbour(ifindex: int, ip: str, mac: str) -> Message:
    """Enter a neighbour for good.

    Permanent entries are not counted against the kernel's limit for all namespaces together (gc_thresh3,
    1024), and a paused guest that answers no ARP is not marked unreachable.
    """
    body = struct.pack("=BxxxiHBB", socket.AF_INET, ifindex, _NUD_PERMANENT, 0, 0)
    body += _attribute(_NDA_DST, socket.inet_aton(ip)) + _attribute(_NDA_LLADDR, _mac(mac))
    return Message(f"entering neighbour {ip}", _NEWNEIGH, _CREATE | _REPLACE, body)


def host_route(ip: str, ifindex: int, source: str) -> Message:
    """Reach one address through a link, coming from `source`."""
    attributes = _attribute(_RTA_DST, socket.inet_aton(ip)) + _attribute(_RTA_OIF, struct.pack("=I", ifindex))
    attributes += _attribute(_RTA_PREFSRC, socket.inet_aton(source))
    return Message(
        f"adding a route to {ip}", _NEWROUTE, _CREATE | _REPLACE, _route(32, _SCOPE_LINK) + attributes
    )


def default_route(gateway: str, ifindex: int) -> Message:
    """Everything else goes to `gateway`, which is on the link though no prefix says so."""
    attributes = _attribute(_RTA_GATEWAY, socket.inet_aton(gateway))
    attributes += _attribute(_RTA_OIF, struct.pack("=I", ifindex))
    body = _route(0, _SCOPE_GLOBAL, flags=_RTNH_F_ONLINK) + attributes
    return Message("adding the default route", _NEWROUTE, _CREATE | _REPLACE, body)


def unreachable_route(ip: str, prefix: int) -> Message:
    """Refuse a network at once, whatever the default route."""
    body = _route(prefix, _SCOPE_GLOBAL, kind=_RTN_UNREACHABLE) + _attribute(_RTA_DST, socket.inet_aton(ip))
    return Message(f"refusing {ip}/{prefix}", _NEWROUTE, _CREATE | _REPLACE, body)


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def _attribute(kind: int, payload: bytes) -> bytes:
    length = 4 + len(payload)
    return struct.pack("=HH", length, kind) + payload.ljust(_aligned(length) - 4, b"\0")


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _name(name: str) -> bytes:
    return _attribute(_IFLA_IFNAME, name.encode() + b"\0")


def _link(ifindex: int, flags: int, change: int) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, ifindex, flags, change)


def _end(end: End, flags: int) -> bytes:
    return _link(end.ifindex, flags, flags) + _name(end.name) + _attribute(_IFLA_ADDRESS, _mac(end.mac))


def _route(prefix: int, scope: int, *, kind: int = _RTN_UNICAST, flags: int = 0) -> bytes:
    return struct.pack(
        "=BBBBBBBBI", socket.AF_INET, prefix, 0, 0, _TABLE_MAIN, _PROTO_STATIC, scope, kind, flags
    )
