"""Start the daemon when it is first needed, and end everything when asked."""

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from core.daemon.connection import lives
from core.daemon.endpoint import Endpoint, Remote, listens, no_answer
from core.errors import DaemonStopped, DaemonUnavailable, VertuiError
from core.files import disk_error
from core.holder.ask import ask_holder, connect_holder
from core.holder.environment import private, settled
from core.holder.wire import HolderAnswer
from core.home import Home
from core.log_files import last_reason
from core.patience import patient
from core.python import program
from core.sockets import peer_of

HOLDER_DEADLINE_S = patient(30.0)  # to start it, or for one that lost its socket to notice
STILL_S = patient(
    60.0
)  # without a sign of life from a daemon that starts: it gives some, however long it takes
END_DEADLINE_S = patient(20.0)
REMOTE_S = patient(60.0)  # for a daemon to come back whose port is there: its holder starts it again
SAY_EVERY_S = 5.0
AGAIN_S = 0.1  # between attempts to start a holder

Tell = Callable[[str], None]


def ensure_daemon(endpoint: Endpoint, tell: Tell | None = None) -> None:
    """Return once the API answers, starting holder and daemon if need be; DaemonUnavailable says why not.

    A daemon that starts is waited for as long as it gets on; `tell` hears now and then how far it is. None is started
    by its port.
    """
    if isinstance(endpoint, Remote):
        _await_remote(endpoint)
        return
    home = endpoint
    if lives(home):
        return
    home.make()
    _ensure_holder(home)
    _wait(home, tell, lambda state: DaemonUnavailable(_failed(home, "daemon.log", state.get("log_from", 0))))


def revive(endpoint: Endpoint, tell: Tell | None = None) -> None:
    """Start the daemon unless it listens; one that is reached by its port is started by nobody here."""
    if not (isinstance(endpoint, Remote) or listens(endpoint)):
        ensure_daemon(endpoint, tell)


def rejoin(endpoint: Endpoint) -> None:
    """Return once the API answers again. A daemon that died is waited for: the holder starts another. One that was
    stopped, or that does not come up, is left alone: DaemonStopped.
    """

    if isinstance(endpoint, Remote):
        _await_remote(endpoint)
        return
    home = endpoint

    def ended(state: HolderAnswer) -> VertuiError:
        gave_up = state.get("gave_up")
        return DaemonStopped(
            _failed(home, "daemon.log", state["log_from"]) if gave_up else "the daemon is stopped"
        )

    _wait(home, None, ended)


def _await_remote(remote: Remote) -> None:
    """While its daemon is away, whoever comes to a port waits; where none is open, nobody is to be waited for."""
    if not lives(remote, REMOTE_S):
        raise DaemonUnavailable(no_answer(remote))


def _wait(home: Home, tell: Tell | None, ended: Callable[[HolderAnswer], VertuiError]) -> None:
    """Wait for the API as long as a daemon gets on; when the holder starts none, `ended` makes the error."""
    began = said = moved = time.monotonic()
    known: object = None
    while not lives(home):
        state = ask_holder(home, "state")
        if state is None or state["resting"]:
            raise ended(state or {})
        now = time.monotonic()
        if (signs := _signs(state)) != known:
            known, moved = signs, now
        if now - moved > STILL_S:
            raise DaemonUnavailable(
                f"the daemon {_doing(state)}, and gave no sign of life for {STILL_S:.0f} s"
            )
        if tell and now - said > SAY_EVERY_S:
            said = now
            tell(f"the daemon {_doing(state)}: {now - began:.0f} s so far")
        time.sleep(0.02)


def holder_runs(home: Home) -> bool:
    """Is there anything of this home to end?"""
    return ask_holder(home, "state") is not None


def end_all(home: Home) -> bool:
    """End the holder and with it every process of this home, and wait for it; False when nothing ran."""
    if not holder_runs(home):
        return False
    ended_meanwhile = (FileNotFoundError, ConnectionRefusedError, ProcessLookupError)
    with contextlib.suppress(*ended_meanwhile):
        with connect_holder(home) as holder:
            pid = peer_of(holder).pid
        process = os.pidfd_open(pid)
        try:
            ask_holder(home, "end")
            if not select.select([process], [], [], END_DEADLINE_S)[0]:
                raise DaemonUnavailable(
                    f"the holder (pid {pid}) does not end within {END_DEADLINE_S:.0f} s: `kill -KILL {pid}` ends it"
                )
        finally:
            os.close(process)
    return True


def _ensure_holder(home: Home) -> None:
    """Have a holder that was asked for a daemon."""
    deadline = time.monotonic() + HOLDER_DEADLINE_S
    while (answer := ask_holder(home, "daemon")) is None:
        _start_holder(home)
        if not holder_runs(home):  # another one holds the lock
            if time.monotonic() > deadline or _is_elsewhere(home):
                raise DaemonUnavailable(_unreached(home))
            time.sleep(AGAIN_S)
    if "error" in answer:
        raise DaemonUnavailable(f"the daemon cannot be started: {answer['error']}")


def _start_holder(home: Home) -> None:
    """Start the holder; it leaves this process's session by itself once it listens."""
    log = home.log / "holder.log"
    try:
        with open(log, "ab", opener=private) as output:
            begins = output.tell()
            started = subprocess.run(
                program("core.holder.server", str(home.root)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                timeout=HOLDER_DEADLINE_S,
                env=settled(home),
            )
    except subprocess.TimeoutExpired as error:
        raise DaemonUnavailable(
            f"the holder does not start within {HOLDER_DEADLINE_S:.0f} s: see {log}"
        ) from error
    except BlockingIOError as error:
        raise DaemonUnavailable(f"no process can be started: {error.strerror} (`ulimit -u`)") from error
    except OSError as error:
        raise disk_error(error, log) from error
    if started.returncode:
        raise DaemonUnavailable(_failed(home, log.name, begins))


def _signs(state: HolderAnswer) -> object:
    """What changes while a daemon gets on: who it is, what it tells, and the processor time it has had."""
    times: list[str] = []
    with contextlib.suppress(OSError):
        times = Path(f"/proc/{state['daemon']}/stat").read_text().rpartition(")")[2].split()[11:13]
    return state["daemon"], state.get("told"), state.get("beats"), times


def _doing(state: HolderAnswer) -> str:
    return f"(pid {state['daemon']}) is {state.get('told') or 'starting'}"


def _failed(home: Home, name: str, begins: int) -> str:
    """The last that a start logged of a trouble is the reason. A holder that holds nothing is not left behind: it would
    start the next daemon with what this one lacked.
    """
    log = home.log / name
    lines: list[str] = []
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(begins if begins <= os.fstat(file.fileno()).st_size else 0)  # else the log is a new one
        lines = file.read().decode(errors="replace").split("\n")
    reason = last_reason(lines) or "no reason was logged"
    with contextlib.suppress(VertuiError, OSError):
        _leave(home)
    return f"the daemon does not start: {reason[:200]} (see {log})"


def _leave(home: Home) -> None:
    """Have a holder that holds nothing end, and wait for it. OSError when it has ended already."""
    pid = (ask_holder(home, "leave") or {}).get("leaving")
    if pid is not None:
        process = os.pidfd_open(pid)
        try:
            select.select([process], [], [], END_DEADLINE_S)
        finally:
            os.close(process)


def _at_work(home: Home) -> tuple[int, str] | None:
    """The pid of the holder that holds the lock, and where its sockets lie; None while it has yet to say so."""
    try:
        pid, runtime = home.holder_lock.read_text().split("\n")[:2]
        return int(pid), runtime
    except (OSError, ValueError):
        return None


def _is_elsewhere(home: Home) -> bool:
    known = _at_work(home)
    return known is not None and known[1] != str(home.runtime)


def _unreached(home: Home) -> str:
    """Why a holder that holds the lock is not reached."""
    if known := _at_work(home):
        pid, runtime = known
        if runtime != str(home.runtime):
            return f"this home is at work with its sockets in {runtime}: set XDG_RUNTIME_DIR as it was then"
        return f"the holder (pid {pid}) does not listen: `kill -CONT {pid}` if somebody stopped it"
    return f"the holder cannot be reached: see {home.log / 'holder.log'}"
