"""The seams between the daemon and whoever holds processes and descriptors for it, and reaches the host's network."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.holder.confine import Confinement
from core.inward import PortProtocol


@dataclass(frozen=True)
class Holdings:
    """What the holder has: child pids and exit statuses by key, names of kept descriptors, its own pid."""

    children: dict[str, int]
    kept: frozenset[str]
    exits: dict[str, int]
    pid: int


class Held(Protocol):
    """Children and descriptors that outlive the daemon. Requests block, each well under a millisecond, spawn about two;
    they may come from any thread. DaemonUnavailable when the holder does not answer.
    """

    def close(self) -> None:
        """Leave the holder; idempotent."""

    def spawn(
        self,
        key: str,
        argv: Sequence[str],
        log: Path,
        descriptors: Sequence[int],
        nursery: str = "",
        confined: Confinement | None = None,
    ) -> int:
        """Start a child that finds `descriptors` as 3, 4, …; its pid. MachineFailed when it cannot be started, as when
        one of that key runs.

        It is forked by the `nursery` behind the socket kept under that name, if that can. One that is `confined` has
        these descriptors, and what a machine's process may have (`core.holder.confine`).
        """

    def serve(self, key: str, argv: Sequence[str], log: Path, kept: Sequence[str], nursery: str) -> int:
        """Have such a child run from now on, another whenever it ends, also while there is no daemon; its pid.

        `kept` are the names of its descriptors. One that runs already goes on.
        """

    def kill(self, key: str) -> None:
        """End a child at once; nothing happens when it has ended."""

    def keep(self, key: str, descriptor: int) -> None:
        """Have a descriptor outlive this daemon, in place of what was kept so. The caller's copy stays its own."""

    def get(self, key: str) -> int | None:
        """A new descriptor for what was kept under `key`, or None. NoRoom when this process can have no more."""

    def drop(self, key: str) -> None:
        """Close what was kept under `key`; nothing happens when nothing was."""

    def holdings(self) -> Holdings:
        """All that is held; exits are told once."""

    def rest(self) -> None:
        """Do not start the daemon again when it ends."""

    def watch(self, on_exit: Callable[[str, int], None]) -> None:
        """Call `on_exit(key, status)` on the running event loop for each child that ends from now on."""


class HostPorts(Protocol):
    """Ports in the host's network namespace. Blocking, well under a millisecond; callable from any thread."""

    def listen(self, address: str, port: int, protocol: PortProtocol) -> tuple[socket.socket, int]:
        """A socket of the host's that listens there (of UDP one that is bound), and its port; 0 asks for any free one.
        The port is taken until the last copy of the socket is closed.

        Conflict when it is taken, UsageError when the host has no such address, Unsupported when it is not ours to
        have, NoRoom without descriptors, DaemonUnavailable when nobody is there to ask.
        """
