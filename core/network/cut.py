"""The end of a branch's connections that a rule no longer lets be: to the outside, and to other branches.

The kernel forgets a refused one, so that its next packet meets the rule. One that is idle sends no packet, so both its
ends are told: the guest gets a segment that no connection expects, and what it answers is reset by the rules with the
sequence number that only it knows (RFC 5961, section 4); `pasta` gets a reset, and closes its socket. What a guest may
be told depends on which end it is: the NAT of its namespace takes from others only what a connection's state allows.
"""

import random
import socket
import struct
from collections.abc import Callable, Iterable

from core.network import conntrack
from core.network.conntrack import End, Flow
from core.network.rules import PAIRED, TOLD

SYN, SYN_ACK, RST = 0x02, 0x12, 0x04


def cut(index: int, refused: Callable[[Flow], bool]) -> int:
    """End the connections of a branch that are refused, in the hub the thread is in; how many. The rules give them the
    branch's index as their mark.
    """
    return _cut(index, refused, RST)


def part(refused: Callable[[Flow], bool]) -> None:
    """End the connections between branches that are refused, in the hub the thread is in."""
    _cut(PAIRED, refused, SYN)


def _cut(mark: int, refused: Callable[[Flow], bool], to_target: int) -> int:
    ended = [flow for flow in conntrack.flows(mark) if refused(flow)]
    conntrack.forget(ended)
    _tell((flow for flow in ended if flow.protocol == socket.IPPROTO_TCP), to_target)
    return len(ended)


def _tell(ended: Iterable[Flow], to_target: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, TOLD)
        for flow in ended:
            segments = ((flow.target, flow.source, SYN_ACK), (flow.masked, flow.target, to_target))
            for source, target, flags in segments:
                try:
                    raw.sendto(segment(source, target, flags, _any_numbers()), (target[0], 0))
                except OSError:  # the way there is gone, and the connection with it
                    continue


def segment(source: End, target: End, flags: int, numbers: tuple[int, int]) -> bytes:
    """An IPv4 packet with a TCP segment that has nothing but flags, and its sequence and acknowledgment numbers."""
    ends = socket.inet_aton(source[0]) + socket.inet_aton(target[0])
    made = struct.pack("!HHIIBBHHH", source[1], target[1], *numbers, 5 << 4, flags, 1024, 0, 0)
    check = checksum(ends + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(made)) + made)
    made = made[:16] + struct.pack("!H", check) + made[18:]
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(made), 0, 0, 64, socket.IPPROTO_TCP, 0)
    return header + ends + made  # the kernel fills in the header's own checksum


def _any_numbers() -> tuple[int, int]:
    return random.getrandbits(32), random.getrandbits(32)


def checksum(data: bytes) -> int:
    """Of the Internet (RFC 1071), over an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
