"""The kernel's log of what the hub's rules refuse (nfnetlink_log), read as it is written.

pyroute2 makes the requests. What comes is read here, as `conntrack` reads what it is told.
"""

import os
import socket
import sys
from collections.abc import Iterator
from typing import Any

from pyroute2.netlink import NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR
from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_ULOG, nfgen_msg

from core.network.conntrack import FAMILY, HEADER, MOST_BYTES, NETFILTER, aligned, attributes, number

PACKET, CONFIG = (
    NFNL_SUBSYS_ULOG << 8,
    NFNL_SUBSYS_ULOG << 8 | 1,
)  # linux/netfilter/nfnetlink_log.h: NFULNL_MSG_…
BIND, COPY_PACKET = 1, 2  # NFULNL_CFG_CMD_BIND, NFULNL_COPY_PACKET
PAYLOAD = 9  # NFULA_PAYLOAD
MOST_AT_ONCE = 64  # of one read


_Config: Any = type(
    "log_config",
    (nfgen_msg,),
    {"prefix": "NFULA_", "nla_map": ((1, "NFULA_CFG_CMD", "uint8"), (2, "NFULA_CFG_MODE", "cdata"))},
)
"""Which group is read, and how much of a packet: a message that pyroute2 lacks, made as it makes its own."""


class RefusalLog:
    """One group of the log of the namespace that the calling thread is in. OSError where the kernel has none."""

    def __init__(self, group: int, seen_bytes: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETFILTER)
        mode = seen_bytes.to_bytes(4, "big") + bytes((COPY_PACKET, 0))
        try:
            for attribute in (("NFULA_CFG_CMD", BIND), ("NFULA_CFG_MODE", mode)):
                self._configure(group, attribute)
            self._socket.setblocking(False)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Readable when there is something to `read`."""
        return self._socket.fileno()

    def read(self) -> Iterator[bytes]:
        """Beginnings of packets that came; some may be lost in between."""
        for _ in range(MOST_AT_ONCE):
            try:
                data = self._socket.recv(MOST_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # ENOBUFS: it was not read fast enough
                continue
            while len(data) >= HEADER:
                length, kind = number(data[:4]), number(data[4:6])
                if kind == PACKET:
                    yield attributes(data[HEADER + FAMILY : length]).get(PAYLOAD, b"")
                data = data[max(HEADER, aligned(length)) :]

    def close(self) -> None:
        """Read no more."""
        self._socket.close()

    def _configure(self, group: int, attribute: tuple[str, object]) -> None:
        message = _Config()
        message["header"].update(type=CONFIG, flags=NLM_F_REQUEST | NLM_F_ACK)
        message.update(nfgen_family=socket.AF_UNSPEC, res_id=group, attrs=[attribute])
        message.encode()
        self._socket.send(bytes(message.data))
        answer = self._socket.recv(MOST_BYTES)
        failed = -int.from_bytes(answer[HEADER : HEADER + 4], sys.byteorder, signed=True)
        if number(answer[4:6]) == NLMSG_ERROR and failed:
            raise OSError(failed, f"reading what the hub refuses: {os.strerror(failed)}")
