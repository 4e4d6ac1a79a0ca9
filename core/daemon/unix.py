"""Connections by Unix socket: HTTP to the daemon, messages to the holder. Imports little: every verb pays for it.

However long a verb takes, its answer is waited for as long as the daemon lives. Whenever nothing has come for a while,
the daemon is asked over a connection of its own whether it does, which its event loop answers.
"""

import contextlib
import http.client
import json
import select
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import DaemonUnavailable
from core.home import Home
from core.patience import patient
from core.sockets import BUSY_S, connect, peer_of

STOPPED = ("T", "t")  # by a signal, or a debugger
LARGEST_ANSWER = 64 * 1024  # of the holder's to what is asked here
HOLDER_S = patient(10.0)  # it answers within a millisecond, and within a second while it starts something


@dataclass(frozen=True)
class Patience:
    """How long a daemon is waited for. Seconds.

    `quiet_s` passes without a byte before it is asked whether it lives, and that again for its answer; `silent_s`
    without such an answer before it is given up, by when the holder has replaced one that hangs: after 35 s if it
    sleeps and 125 if it runs (`core.daemon.pulse`). It is twice `quiet_s` if somebody stopped it, as nobody else will
    let it go on. `deadline_s` is for all, also from one that lives.
    """

    quiet_s: float = patient(5.0)
    silent_s: float = patient(150.0)
    deadline_s: float | None = None


UNTIL_DEATH = Patience()
IDLE = Patience(quiet_s=patient(30.0))  # where nothing may happen for hours: to wait costs next to nothing


class Silent(DaemonUnavailable):
    """The daemon is there and says nothing: to ask once more would be to wait once more."""


class UnixConnection(http.client.HTTPConnection):
    """HTTP to a home's daemon, for one request. With `timeout_s` each step of it may take so long, dead or alive."""

    def __init__(
        self, home: Home, patience: Patience = UNTIL_DEATH, *, timeout_s: float | None = None
    ) -> None:
        super().__init__("vertui", timeout=timeout_s)
        self._home, self._patience, self._timeout_s = home, patience, timeout_s
        self.reached = False  # has it been connected, so that what was asked may have been heard?

    def connect(self) -> None:
        """Connect to the daemon. OSError when none listens, Impostor when it is not ours."""
        self.sock = connect(self._home.daemon_socket, timeout_s=self._timeout_s)
        if self._timeout_s is None:
            self.sock = _Patient(self._home, self.sock, self._patience)
        self.reached = True


class Vigil:
    """Over a daemon from which something is expected."""

    def __init__(self, home: Home, patience: Patience) -> None:
        self.home, self.patience = home, patience
        self._begun = self._heard = time.monotonic()

    def heard(self) -> None:
        """It said something, or was said something to."""
        self._heard = time.monotonic()

    def check(self, connection: socket.socket) -> None:
        """Nothing came for a while. Raises Silent when it is of no use to wait any longer."""
        pid, known = peer_of(connection).pid, self.patience
        if lives(self.home, min(known.quiet_s, UNTIL_DEATH.quiet_s)):
            self.heard()
        silent_s, waited_s = time.monotonic() - self._heard, time.monotonic() - self._begun
        if silent_s > 2 * known.quiet_s and state_of(pid) in STOPPED:
            raise Silent(f"the daemon is stopped (SIGSTOP): `kill -CONT {pid}` lets it go on")
        if silent_s > known.silent_s:
            what = f"does not answer since {silent_s:.0f} s"
        elif known.deadline_s is not None and waited_s > known.deadline_s:
            what = f"lives, but has no answer to this since {waited_s:.0f} s"
        else:
            return
        raise Silent(f"the daemon (pid {pid}) {what}: {_way_out(self.home, pid)}")


class _Patient(socket.socket):
    """A connection to a daemon that is waited for while it lives. Raises Silent."""

    def __init__(self, home: Home, connection: socket.socket, patience: Patience) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM, fileno=connection.detach())
        self._vigil = Vigil(home, patience)

    def recv_into(self, *arguments: Any) -> int:
        """What has come, once something has."""
        self._await(select.POLLIN)
        return super().recv_into(*arguments)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send it all, as the daemon takes it."""
        rest = memoryview(data)
        while rest:
            self._await(select.POLLOUT)
            rest = rest[super().send(rest, flags | socket.MSG_DONTWAIT) :]

    def _await(self, event: int) -> None:
        poll = select.poll()
        poll.register(self, event)
        self._vigil.heard()
        while not poll.poll(self._vigil.patience.quiet_s * 1000):
            self._vigil.check(self)


def lives(home: Home, timeout_s: float = UNTIL_DEATH.quiet_s) -> bool:
    """Does the daemon's event loop go round? Impostor when it is somebody else's."""
    connection = UnixConnection(home, timeout_s=timeout_s)
    try:
        connection.request("GET", "/v1/alive")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def connect_holder(home: Home, timeout_s: float | None = HOLDER_S) -> socket.socket:
    """A connection to the holder; OSError when there is none, Impostor when it is somebody else's."""
    return connect(home.holder_socket, socket.SOCK_SEQPACKET, timeout_s)


def ask_holder(home: Home, do: str) -> dict[str, Any] | None:
    """The holder's answer; None when there is no holder, DaemonUnavailable when it gives none.

    One that has too many clients hangs up, as does one that ends: either way it is asked again.
    """
    deadline = time.monotonic() + HOLDER_S
    while time.monotonic() < deadline:
        try:
            with connect_holder(home) as holder, contextlib.suppress(ConnectionResetError, BrokenPipeError):
                if data := _told(holder, do):
                    answer: dict[str, Any] = json.loads(data)
                    return answer
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise DaemonUnavailable(f"the holder cannot be reached: {error.strerror}") from error
        time.sleep(BUSY_S)
    raise Silent(f"the holder is busy with others since {HOLDER_S:.0f} s: try again")


def _told(holder: socket.socket, do: str) -> bytes:
    """What it answers; nothing when it hangs up."""
    try:
        holder.sendall(json.dumps({"do": do}).encode())
        return holder.recv(LARGEST_ANSWER)
    except TimeoutError as error:
        raise Silent(_silent_holder(peer_of(holder).pid)) from error


def state_of(pid: int) -> str:
    """The state of a process's main thread, one letter as in proc(5); "" when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _way_out(home: Home, pid: int) -> str:
    """What whoever waits for a daemon can do."""
    try:
        ask_holder(home, "state")
    except DaemonUnavailable as error:
        return str(error)
    return f"`kill -KILL {pid}` ends it alone, machines run on and the next verb starts another"


def _silent_holder(pid: int) -> str:
    if state_of(pid) in STOPPED:
        return f"the holder is stopped (SIGSTOP): `kill -CONT {pid}` lets it go on"
    return f"the holder (pid {pid}) does not answer since {HOLDER_S:.0f} s: `kill {pid}` ends it and its machines"
