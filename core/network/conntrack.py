"""The connections that a namespace tracks (nfnetlink, ctnetlink): a branch's listed and forgotten, and who has any.

pyroute2 makes the requests. What the kernel answers is read here, since to decode a thousand connections takes pyroute2
0.2 s, and all of a branch's are to be looked through within half of that.
"""

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pyroute2.netlink import NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR
from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_CTNETLINK
from pyroute2.netlink.nfnetlink.nfctsocket import IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_GET, nfct_msg

NETFILTER = 12  # linux/netlink.h: NETLINK_NETFILTER
HEADER, FAMILY, ATTRIBUTE = 16, 4, 4  # bytes of nlmsghdr, nfgenmsg and nlattr
KIND = 0x3FFF  # of an attribute; the other bits are flags
ORIGINAL, REPLY = 1, 2  # CTA_TUPLE_…
ADDRESSES, PROTOCOL = 1, 2  # CTA_TUPLE_…, in these
SOURCE, TARGET = 1, 2  # CTA_IP_V4_…
NUMBER, SOURCE_PORT, TARGET_PORT = 1, 2, 3  # CTA_PROTO_…
PROTOCOL_INFO, MARK = 4, 8  # CTA_PROTOINFO, CTA_MARK
TCP_INFO, TCP_STATE = 1, 1  # CTA_PROTOINFO_TCP, and in that CTA_PROTOINFO_TCP_STATE
OPEN = range(1, 6)  # TCP_CONNTRACK_…: from SYN_SENT to CLOSE_WAIT, as long as either side may say something
AT_ONCE = 200  # requests in one message
MOST_BYTES = 1 << 16  # of one answer; a dump comes in several

End = tuple[str, int]
"""An address and a port, 0 where the protocol has none."""


@dataclass(frozen=True)
class Flow:
    """A connection as its branch began it; `masked` is who began it for others, `tuple` its name for the kernel."""

    protocol: int
    source: End
    target: End
    masked: End
    tuple: bytes


def flows(mark: int) -> list[Flow]:
    """The connections that the rules gave a mark, in the namespace the thread is in; OSError when it is not told."""
    marked = [("CTA_MARK", mark), ("CTA_MARK_MASK", 0xFFFF_FFFF)]
    with _netfilter() as sock:
        sock.send(_request(IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP, marked))
        return [flow for body in _answers(sock) if (flow := _flow(body)) is not None]


def connected() -> set[str]:
    """The addresses of both ends of the open TCP connections that rules gave a mark, in the namespace the thread is in:
    those of branches with the outside and with each other. OSError when it is not told.
    """
    with _netfilter() as sock:
        sock.send(_request(IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP, ()))
        found = [body for body in _answers(sock) if _is_open(attributes(body))]
    flows = (flow for body in found if (flow := _flow(body)) is not None)
    return {address for flow in flows for address in (flow.source[0], flow.target[0])}


def _is_open(told: dict[int, bytes]) -> bool:
    tcp = attributes(attributes(told.get(PROTOCOL_INFO, b"")).get(TCP_INFO, b""))
    return any(told.get(MARK, b"")) and bool(tcp) and tcp.get(TCP_STATE, b"\0")[0] in OPEN


def forget(ended: Sequence[Flow]) -> None:
    """Have the kernel drop these; one that ended by itself meanwhile is none."""
    requests = [_forgetting(flow) for flow in ended]
    with _netfilter() as sock:
        for first in range(0, len(requests), AT_ONCE):
            sock.send(b"".join(requests[first : first + AT_ONCE]))


def _netfilter() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETFILTER)


def _request(kind: int, flags: int, attrs: Sequence[tuple[str, object]]) -> bytes:
    message: Any = nfct_msg()
    message["header"].update(type=NFNL_SUBSYS_CTNETLINK << 8 | kind, flags=flags)
    message.update(nfgen_family=socket.AF_INET, attrs=attrs)
    message.encode()
    return bytes(message.data)


@cache
def _forget_request() -> bytes:
    return _request(IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST, ())


def _forgetting(flow: Flow) -> bytes:
    """A request that names a connection as the kernel named it."""
    request = _forget_request()
    named = _two(ATTRIBUTE + len(flow.tuple)) + _two(ORIGINAL | 0x8000) + flow.tuple
    return (len(request) + len(named)).to_bytes(4, sys.byteorder) + request[4:] + named


def _answers(sock: socket.socket) -> Iterator[bytes]:
    """The bodies of a dump's messages."""
    while True:
        data = sock.recv(MOST_BYTES)
        while len(data) >= HEADER:
            length, kind = number(data[:4]), number(data[4:6])
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR:
                failed = -int.from_bytes(data[HEADER : HEADER + 4], sys.byteorder, signed=True)
                raise OSError(failed, f"listing connections: {os.strerror(failed)}")
            yield data[HEADER + FAMILY : length]
            data = data[aligned(length) :]


def _flow(body: bytes) -> Flow | None:
    """A connection out of its attributes; None for one that is none of IPv4."""
    told = attributes(body)
    try:
        protocol, source, target = _ends(told[ORIGINAL])
        masked = _ends(told[REPLY])[2]
    except (KeyError, OSError):
        return None
    return Flow(protocol, source, target, masked, told[ORIGINAL])


def _ends(data: bytes) -> tuple[int, End, End]:
    parts = attributes(data)
    ips, proto = attributes(parts[ADDRESSES]), attributes(parts[PROTOCOL])
    source_port, target_port = (
        int.from_bytes(proto.get(kind, b""), "big") for kind in (SOURCE_PORT, TARGET_PORT)
    )
    source, target = socket.inet_ntoa(ips[SOURCE]), socket.inet_ntoa(ips[TARGET])
    return proto[NUMBER][0], (source, source_port), (target, target_port)


def attributes(data: bytes) -> dict[int, bytes]:
    """Those of a message, by their kinds."""
    found = {}
    while len(data) >= ATTRIBUTE:
        length, kind = number(data[:2]), number(data[2:4])
        if length < ATTRIBUTE:
            break
        found[kind & KIND] = data[ATTRIBUTE:length]
        data = data[aligned(length) :]
    return found


def number(data: bytes) -> int:
    """As the kernel writes one."""
    return int.from_bytes(data, sys.byteorder)


def _two(value: int) -> bytes:
    return value.to_bytes(2, sys.byteorder)


def aligned(length: int) -> int:
    """Where what follows begins."""
    return (length + 3) & ~3
