"""sshd, started per connection by the agent.

No daemon has to be told of a new host key after a fork, none lies in every child's memory, and a key that was
never asked for costs nothing. Whom it lets in beside the guest's own lists stands where an identity does, on no disk.
"""

from __future__ import annotations

import os
import socket

from .bounded import Calls
from .cgroup import WorkGroup
from .identity import ANSWER_S, DIRECTORY, NAMES, UNANSWERED, read_all, write
from .loop import READ, Poller
from .spawn import PATH, BadRequest, CannotRun, Program, Stdio, root, start

SSHD = "/usr/sbin/sshd"
RUN_DIRECTORY = "/run/sshd"
"""sshd refuses to start without it, so it is made each time, as a service manager would."""

AUTHORIZED = f"{DIRECTORY}/authorized_keys"
"""The image's sshd_config.d/vertui.conf names it, for every user."""

PORT = 22
MAX_SESSIONS = 32


def admit(key: str, calls: Calls) -> dict[str, str]:
    """Let the owner of a key log in as anybody; the host key that sshd shows. BadRequest without one, OSError, Late."""

    def note() -> None:
        os.makedirs(DIRECTORY, 0o755, exist_ok=True)  # noqa: PTH103
        write(AUTHORIZED, f"{key}\n", 0o644)

    name = NAMES["ssh_public_key"]
    calls.run(f"writing {AUTHORIZED}", note, ANSWER_S)
    shown = read_all([name], calls)[name]
    if not shown or shown == UNANSWERED or not os.access(SSHD, os.X_OK):
        raise BadRequest(
            "the guest has no ssh server with a host key: its packages or files are not as they were"
        )
    return {"host_key": " ".join(shown.split()[:2])}


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
        program = Program([SSHD, "-i"], {"PATH": PATH}, "/", root(), [])
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
