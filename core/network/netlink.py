"""How requests reach the kernel's rtnetlink, and what it answers.

pyroute2 encodes and decodes what goes through the socket. The socket is Python's own: to make, use and close one of
pyroute2's takes 0.35 ms (`IPRSocket`) or 1 ms (`IPRoute`, with an event loop of its own) where this takes 0.01 ms. A
socket belongs to the namespace it was made in, so a branch needs new ones: three to be made, one to be removed.
"""

import os
import socket
import struct
import sys
from functools import cache
from itertools import takewhile

from pyroute2.netlink import NLM_F_ACK, NLM_F_REQUEST, NLMSG_NOOP, nlmsg, nlmsgerr

from core.network.forms import Message

_ANSWER_BYTES = 4096  # an answer comes by itself and repeats the request: of these none has 200 bytes
_LAST = 0xFFFF_FFFF
_NUMBER_AT = struct.calcsize(
    "=" + "".join(form for _, form in takewhile(lambda field: field[0] != "sequence_number", nlmsg.header))
)


def send(*messages: Message) -> None:
    """Send all in one batch to the namespace the thread is in.

    The kernel goes on after a failure; the first one is raised as OSError naming what failed.
    """
    batch = b"".join(_numbered(message.data, number) for number, message in enumerate(messages))
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    ) as sock:
        sock.send(batch + _last())
        refused = _refused(sock)
    for number, error in refused[:1]:
        raise OSError(error, f"{messages[number].what}: {os.strerror(error)}")


def _refused(sock: socket.socket) -> list[tuple[int, int]]:
    """Number and errno of each request that was refused, in order; waits until the last is answered.

    The kernel says nothing of a request that it carried out, unless asked as by the last.
    """
    refused: list[tuple[int, int]] = []
    while not (data := sock.recv(_ANSWER_BYTES)).endswith(_done()):
        answer = nlmsgerr(data)
        answer.decode()
        if (number := answer["header"]["sequence_number"]) == _LAST:
            break
        refused.append((number, -answer["error"]))
    return refused


def _numbered(data: bytes, number: int) -> bytes:
    """A request with its number, which the answer to it has, too."""
    return data[:_NUMBER_AT] + number.to_bytes(4, sys.byteorder) + data[_NUMBER_AT + 4 :]


@cache
def _last() -> bytes:
    """A request of nothing that the kernel answers once it has dealt with all before it."""
    nothing = nlmsg()
    nothing["header"].update(type=NLMSG_NOOP, flags=NLM_F_REQUEST | NLM_F_ACK, sequence_number=_LAST)
    nothing.encode()
    return bytes(nothing.data)


@cache
def _done() -> bytes:
    """How the answer to the last ends, behind a header: no error, and the request as the kernel repeats it.

    Known by its bytes, since to decode it at each sending takes 2 % of the time that a branch's network takes.
    """
    nothing = nlmsgerr()
    nothing["error"] = 0
    nothing.encode()
    return bytes(nothing.data)[-4:] + _last()
