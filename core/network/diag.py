"""TCP connections of a namespace, found and reset by the kernel's sock_diag(7), as `ss -K` does it.

pyroute2 encodes and decodes what goes through the socket, which is Python's own as in `netlink`.
"""

import socket
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address
from typing import Any

from pyroute2.netlink import NETLINK_SOCK_DIAG, NLM_F_ACK, NLM_F_MATCH, NLM_F_REQUEST, NLM_F_ROOT
from pyroute2.netlink.diag import SOCK_DESTROY, SOCK_DIAG_BY_FAMILY, SS_CONN, MarshalDiag, inet_diag_req

_ANSWER_BYTES = 64 * 1024  # more than the kernel puts into one message of a listing
_WHICH = ("idiag_sport", "idiag_dport", "idiag_cookie")


def reset_connections(ip: str) -> None:
    """Reset every connection to an address from the namespace the thread is in, whoever holds it.

    Where the kernel cannot (INET_DIAG_DESTROY is a choice), they end when they are used next.
    """
    with (
        suppress(OSError),
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG) as sock,
    ):
        for found in [one for one in _connections(sock) if one["idiag_dst"] == ip]:
            same = {name: found[name] for name in _WHICH}
            ends = {name: (int(IPv4Address(found[name])), 0, 0, 0) for name in ("idiag_src", "idiag_dst")}
            sock.send(_request(SOCK_DESTROY, NLM_F_ACK, **same, **ends))
            sock.recv(_ANSWER_BYTES)


def peers() -> set[str]:
    """The addresses that the namespace the thread is in has connections with; OSError when it is not told."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG) as sock:
        return {one["idiag_dst"] for one in _connections(sock)}


def _connections(sock: socket.socket) -> Iterator[Any]:
    """What is open, or being opened."""
    sock.send(_request(SOCK_DIAG_BY_FAMILY, NLM_F_ROOT | NLM_F_MATCH, idiag_states=SS_CONN))
    while True:
        for message in MarshalDiag().parse(sock.recv(_ANSWER_BYTES)):
            if message["header"]["type"] != SOCK_DIAG_BY_FAMILY:  # that was all, or an error
                return
            yield message


def _request(kind: int, mode: int, **fields: Any) -> bytes:
    message = inet_diag_req()
    message["header"].update(type=kind, flags=NLM_F_REQUEST | mode)
    message.update(fields, sdiag_family=socket.AF_INET, sdiag_protocol=socket.IPPROTO_TCP)
    message.encode()
    return bytes(message.data)
