"""What a hub refuses, as it is tried: time to ask the guest who tries, before that one has its answer.

The rules give us a copy of the first packet to a destination, and drop it where it opens a TCP connection: whoever read
it resets the connection then. If nobody does, the guest's kernel tries again after a second, and the rules reset that.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

from core.errors import Unsupported
from core.network import cut, nft, rules
from core.network.protocol import Tried
from core.network.refusal_log import RefusalLog

IPV4 = struct.Struct("!BBHHHBBH4s4s")
TCP = struct.Struct("!HHI")  # as far as it is needed; UDP begins alike
RST_ACK = 0x14


class Attempts:
    """Of the hub that the calling thread is in, which is to close it as well. OSError or Unsupported where the kernel
    has no such log.
    """

    def __init__(self) -> None:
        self._log = RefusalLog(rules.GROUP, rules.SEEN_BYTES)
        try:
            self._raw = socket.socket(
                socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW
            )
            nft.apply(rules.TELL)  # last: what nobody reads would wait for a second
        except BaseException:
            self._log.close()
            raise

    def fileno(self) -> int:
        """Readable when there is something to `read`."""
        return self._log.fileno()

    def read(self) -> Iterator[Tried]:
        """What came; what was lost in between is none: the rules refuse it when it is tried again."""
        return (one for data in self._log.read() if (one := _tried(data)) is not None)

    def reset(self, one: Tried) -> None:
        """Refuse a connection that waits for it; a datagram's sender was told already."""
        if one.protocol != "tcp":
            return
        numbers = 0, (one.sequence + 1) & 0xFFFF_FFFF
        with suppress(OSError):  # the way there is gone, and who tried with it
            self._raw.sendto(cut.segment(one.target, one.source, RST_ACK, numbers), (one.source[0], 0))

    def close(self) -> None:
        """Read no more; nothing waits from now on."""
        with suppress(Unsupported):
            nft.apply(rules.TELL_NOBODY)
        self._log.close()
        self._raw.close()


def _tried(data: bytes) -> Tried | None:
    """The ends of a packet; None for one that says too little."""
    if len(data) < IPV4.size:
        return None
    first, *_, protocol, _, source, target = IPV4.unpack_from(data)
    start = (first & 0xF) * 4
    names = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp"}
    if first >> 4 != 4 or protocol not in names or len(data) < start + TCP.size:
        return None
    source_port, target_port, sequence = TCP.unpack_from(data, start)
    ends = (socket.inet_ntoa(source), source_port), (socket.inet_ntoa(target), target_port)
    return Tried(*ends, names[protocol], sequence)
