"""One request to the holder and its answer. Imports little: every verb that waits for a daemon pays for it."""

import contextlib
import json
import socket
import time
from pathlib import Path

from core.errors import DaemonUnavailable
from core.holder.wire import HolderAnswer
from core.home import Home
from core.patience import patient
from core.sockets import BUSY_S, connect, peer_of

STOPPED = ("T", "t")  # by a signal, or a debugger
LARGEST_ANSWER = 64 * 1024  # to what is asked here
HOLDER_S = patient(10.0)  # it answers within a millisecond, and within a second while it starts something


class Silent(DaemonUnavailable):
    """The daemon is there and says nothing: to ask once more would be to wait once more."""


def connect_holder(home: Home, timeout_s: float | None = HOLDER_S) -> socket.socket:
    """A connection to the holder; OSError when there is none, Impostor when it is somebody else's."""
    return connect(home.holder_socket, socket.SOCK_SEQPACKET, timeout_s)


def ask_holder(home: Home, do: str) -> HolderAnswer | None:
    """The holder's answer; None when there is no holder, DaemonUnavailable when it gives none.

    One that has too many clients hangs up, as does one that ends: either way it is asked again.
    """
    deadline = time.monotonic() + HOLDER_S
    while time.monotonic() < deadline:
        try:
            with connect_holder(home) as holder, contextlib.suppress(ConnectionResetError, BrokenPipeError):
                if data := _told(holder, do):
                    answer: HolderAnswer = json.loads(data)
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


def _silent_holder(pid: int) -> str:
    if state_of(pid) in STOPPED:
        return f"the holder is stopped (SIGSTOP): `kill -CONT {pid}` lets it go on"
    return f"the holder (pid {pid}) does not answer since {HOLDER_S:.0f} s: `kill {pid}` ends it and its machines"
