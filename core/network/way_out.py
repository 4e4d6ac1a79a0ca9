"""The way out of a hub: `pasta`, which carries what leaves through sockets of the host's, as any program of this user.

It stays in the host's network namespace and is attached to the hub by a tap of its own, `eg0`. It forwards nothing that
comes from outside, opens nothing of the host's loopback (--no-map-gw, no ports either way), and hands what is sent to
EGRESS_RESOLVER to the host's own resolver.
"""

import errno
import socket
from collections.abc import Sequence
from pathlib import Path

from core.network.addresses import (
    EGRESS,
    EGRESS_ADDRESS,
    EGRESS_GATEWAY,
    EGRESS_PREFIX,
    EGRESS_RESOLVER,
)

PROGRAM = "pasta"
ARGUMENTS = (
    "-4", "-f", "-q", "-I", EGRESS, "--config-net",
    "-a", EGRESS_ADDRESS, "-n", str(EGRESS_PREFIX), "-g", EGRESS_GATEWAY, "--no-map-gw",
    "-t", "none", "-u", "none", "-T", "none", "-U", "none", "--dns-forward", EGRESS_RESOLVER,
    "--no-dhcp", "--no-ra",
)  # fmt: skip


def argv(holder_pid: int, *, as_root: bool) -> Sequence[str]:
    """The command for the hub of a holder. Of root's it takes the hub's namespace as its stdin.

    As root it gives up the capabilities by which it could look at the holder, and would become a user who may not enter
    the hub.
    """
    if as_root:
        return (PROGRAM, *ARGUMENTS, "--runas", "0", "--netns-only", "--netns", "/proc/self/fd/0")
    return (PROGRAM, *ARGUMENTS, str(holder_pid))


def is_there() -> bool:
    """Does it carry what leaves the hub that the calling thread is in? Its address comes last."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
        try:
            probe.bind((EGRESS_ADDRESS, 0))
            return True
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.ENODEV):
                return False
            raise


def is_root() -> bool:
    """Is the hub in its holder's first user namespace? A user's holder makes one that knows that user alone."""
    return Path("/proc/self/uid_map").read_text().split()[2:] != ["1"]
