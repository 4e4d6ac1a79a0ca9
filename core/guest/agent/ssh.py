"""sshd, started per connection by the agent.

No daemon has to be told of a new host key after a fork, none lies in every child's memory, and a key that was
never asked for costs nothing.
"""

from __future__ import annotations

import os
import socket

from .cgroup import WorkGroup
from .loop import READ, Poller
from .spawn import PATH, CannotRun, Program, Stdio, root, start

SSHD = "/usr/sbin/sshd"
RUN_DIRECTORY = "/run/sshd"
"""sshd refuses to start without it, so it is made each time, as a service manager would."""

PORT = 22
MAX_SESSIONS = 32


class SshListener:
    """Accepts on port 22 and runs `sshd -i` in the work group for each connection."""

    def __init__(self, work: WorkGroup, poller: Poller) -> None:
        self._work = work
        self._poller = poller
        self._sessions: dict[int, tuple[int, str]] = {}
        self._count = 0
        self._socket = socket.create_server(("", PORT), backlog=16)
        self._socket.setblocking(False)
        poller.watch(self._socket.fileno(), READ, self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:  # gone again
            return
        with connection:
            if len(self._sessions) < MAX_SESSIONS:
                connection.setblocking(True)
                self._serve(connection.fileno())

    def _serve(self, fd: int) -> None:
        self._count += 1
        program = Program([SSHD, "-i"], {"PATH": PATH}, "/", root())
        group = ""
        try:
            os.makedirs(RUN_DIRECTORY, 0o755, exist_ok=True)  # noqa: PTH103
            group = self._work.create(f"ssh-{self._count}")
            with open("/dev/null", "wb") as null:  # noqa: PTH123
                pid, pidfd = start(program, Stdio(fd, fd, null.fileno()), self._work, group)
        except (CannotRun, OSError):  # the guest lacks what it takes: the connection is closed
            if group:
                self._work.discard(group)
            return
        self._sessions[pidfd] = pid, group
        self._poller.watch(pidfd, READ, lambda: self._reap(pidfd))

    def _reap(self, pidfd: int) -> None:
        pid, group = self._sessions.pop(pidfd)
        self._poller.forget(pidfd)
        os.close(pidfd)
        os.waitpid(pid, 0)
        self._work.discard(group)
