"""HTTP to the daemon. Imports little: every verb pays for it.

However long a verb takes, its answer is waited for as long as the daemon lives. Whenever nothing has come for a while,
the daemon is asked over a connection of its own whether it does, which its event loop answers.
"""

import http.client
import json
import select
import socket
import time
from array import array
from dataclasses import dataclass
from typing import Any

from core.daemon.endpoint import Endpoint, Remote, connected, headers_of, place_of
from core.errors import DaemonUnavailable, VertuiError, by_kind
from core.holder.ask import STOPPED, Silent, ask_holder, state_of
from core.home import Home
from core.patience import patient
from core.sockets import peer_of

TURNED_AWAY = (401, 403)  # the statuses of whoever is not let in at all
ONE_DESCRIPTOR = socket.CMSG_LEN(array("i").itemsize)


@dataclass(frozen=True)
class Patience:
    """How long a daemon is waited for. Seconds.

    `quiet_s` passes without a byte before it is asked whether it lives, and that again for its answer; `silent_s`
    without such an answer before it is given up, by when the holder has replaced one that hangs: after 35 s if it
    sleeps and 125 if it runs (`core.holder.pulse`). It is twice `quiet_s` if somebody stopped it, as nobody else will
    let it go on. `deadline_s` is for all, also from one that lives.
    """

    quiet_s: float = patient(5.0)
    silent_s: float = patient(150.0)
    deadline_s: float | None = None


UNTIL_DEATH = Patience()
IDLE = Patience(quiet_s=patient(30.0))  # where nothing may happen for hours: to wait costs next to nothing


class DaemonConnection(http.client.HTTPConnection):
    """HTTP to a daemon, for one request. With `timeout_s` each step of it may take so long, dead or alive.

    Descriptors that come with the answer are put into `descriptors`, for the caller to close; without it none is taken.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        patience: Patience = UNTIL_DEATH,
        *,
        timeout_s: float | None = None,
        descriptors: list[int] | None = None,
    ) -> None:
        super().__init__(*place_of(endpoint), timeout=timeout_s)
        self._endpoint, self._patience, self._timeout_s = endpoint, patience, timeout_s
        self._descriptors = descriptors
        self.reached = False  # has it been connected, so that what was asked may have been heard?

    def connect(self) -> None:
        """Connect to the daemon. OSError when none listens, Impostor when it is not ours."""
        self.sock = connected(self._endpoint, self._timeout_s)
        if self._timeout_s is None:
            self.sock = _Patient(self._endpoint, self.sock, self._patience, self._descriptors)
        self.reached = True

    def putrequest(self, *given: Any, **named: Any) -> None:
        """Begin a request, with what each of them says."""
        super().putrequest(*given, **named)
        for name, value in headers_of(self._endpoint).items():
            self.putheader(name, value)


class Vigil:
    """Over a daemon from which something is expected."""

    def __init__(self, endpoint: Endpoint, patience: Patience) -> None:
        self.endpoint, self.patience = endpoint, patience
        self._begun = self._heard = time.monotonic()

    def heard(self) -> None:
        """It said something, or was said something to."""
        self._heard = time.monotonic()

    def check(self, connection: socket.socket) -> None:
        """Nothing came for a while. Raises Silent when it is of no use to wait any longer."""
        known, at = self.patience, self.endpoint
        pid = 0 if isinstance(at, Remote) else peer_of(connection).pid
        if lives(at, min(known.quiet_s, UNTIL_DEATH.quiet_s)):
            self.heard()
        silent_s, waited_s = time.monotonic() - self._heard, time.monotonic() - self._begun
        if pid and silent_s > 2 * known.quiet_s and state_of(pid) in STOPPED:
            raise Silent(f"the daemon is stopped (SIGSTOP): `kill -CONT {pid}` lets it go on")
        if silent_s > known.silent_s:
            what = f"does not answer since {silent_s:.0f} s"
        elif known.deadline_s is not None and waited_s > known.deadline_s:
            what = f"lives, but has no answer to this since {waited_s:.0f} s"
        else:
            return
        if isinstance(at, Remote):
            raise Silent(f"the daemon at {at.url} {what}: `vertui daemon status` there tells more")
        raise Silent(f"the daemon (pid {pid}) {what}: {_way_out(at, pid)}")


class _Patient(socket.socket):
    """A connection to a daemon that is waited for while it lives. Raises Silent."""

    def __init__(
        self, endpoint: Endpoint, connection: socket.socket, patience: Patience, descriptors: list[int] | None
    ) -> None:
        super().__init__(connection.family, connection.type, fileno=connection.detach())
        self._vigil, self._descriptors = Vigil(endpoint, patience), descriptors

    def recv_into(self, buffer: Any, *sizes: Any) -> int:
        """What has come, once something has."""
        self._await(select.POLLIN)
        if self._descriptors is None:
            return super().recv_into(buffer, *sizes)
        count, beside, _, _ = self.recvmsg_into([buffer], ONE_DESCRIPTOR, socket.MSG_CMSG_CLOEXEC)
        for level, kind, data in beside:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._descriptors += array("i", data)
        return count

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


def lives(endpoint: Endpoint, timeout_s: float = UNTIL_DEATH.quiet_s) -> bool:
    """Does the daemon's event loop go round? Impostor when it is somebody else's, Unauthorized and Forbidden when it
    lets us in no more.
    """
    connection = DaemonConnection(endpoint, timeout_s=timeout_s)
    try:
        connection.request("GET", "/v1/alive")
        response = connection.getresponse()
        if response.status in TURNED_AWAY:
            raise failure(response.read())
        return response.status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def failure(data: bytes) -> VertuiError:
    """The error an answer carries: {"kind", "message"}."""
    try:
        answer = json.loads(data)
        return by_kind(str(answer["kind"]), str(answer["message"]))
    except (ValueError, KeyError, TypeError):
        return DaemonUnavailable("the daemon gave an answer that cannot be read: see `vertui daemon logs`")


def _way_out(home: Home, pid: int) -> str:
    """What whoever waits for a daemon can do."""
    try:
        ask_holder(home, "state")
    except DaemonUnavailable as error:
        return str(error)
    return f"`kill -KILL {pid}` ends it alone, machines run on and the next verb starts another"
