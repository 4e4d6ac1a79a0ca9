"""Start the daemon when it is first needed, and end everything when asked."""

import json
import os
import select
import subprocess
import sys
import time
from typing import Any

from core.daemon.environment import private, settled
from core.daemon.unix import UnixConnection, connect_holder
from core.errors import DaemonUnavailable, VertuiError
from core.home import Home
from core.patience import patient

START_DEADLINE_S = patient(20.0)  # imports and adoption of 100 machines on a busy two-core host
END_DEADLINE_S = patient(20.0)


def ensure_daemon(home: Home) -> None:
    """Return once the API answers, starting holder and daemon if need be; DaemonUnavailable says why not."""
    if answers(home):
        return
    home.make()
    deadline = time.monotonic() + START_DEADLINE_S
    while _ask_holder(home, "daemon") is None:
        _start_holder(home)
        if time.monotonic() > deadline:
            raise _failed(home, "holder.log")
    while not answers(home):
        if time.monotonic() > deadline or (_ask_holder(home, "state") or {}).get("resting"):
            raise _failed(home, "daemon.log")
        time.sleep(0.02)


def answers(home: Home) -> bool:
    """Does the daemon answer now?"""
    connection = UnixConnection(home.daemon_socket, timeout_s=5.0)
    try:
        connection.request("GET", "/v1/alive")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def holder_runs(home: Home) -> bool:
    """Is there anything of this home to end?"""
    return _ask_holder(home, "state") is not None


def end_all(home: Home) -> bool:
    """End the holder and with it every process of this home, and wait for it; False when nothing ran."""
    holdings = _ask_holder(home, "list")
    if holdings is None:
        return False
    process = os.pidfd_open(int(holdings["pid"]))
    try:
        _ask_holder(home, "end")
        select.select([process], [], [], END_DEADLINE_S)
    finally:
        os.close(process)
    return True


def _ask_holder(home: Home, do: str) -> dict[str, Any] | None:
    """The holder's answer; None when there is no holder."""
    try:
        with connect_holder(home) as holder:
            holder.sendall(json.dumps({"do": do}).encode())
            answer: dict[str, Any] = json.loads(holder.recv(65536))
            return answer
    except (OSError, ValueError):
        return None


def _start_holder(home: Home) -> None:
    """Start the holder; it leaves this process's session by itself once it listens."""
    with open(home.log / "holder.log", "ab", opener=private) as log:
        started = subprocess.run(
            [sys.executable, "-m", "core.daemon.holder", str(home.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=False,
            env=settled(home.root),
        )
    if started.returncode:
        raise _failed(home, "holder.log")


def _failed(home: Home, log: str) -> VertuiError:
    """The last line of a log is the reason; what cannot be shown is named."""
    lines = (home.log / log).read_text(errors="replace").split("\n") if (home.log / log).exists() else []
    reason = next((line.strip() for line in reversed(lines) if line.strip()), "no reason was logged")
    return DaemonUnavailable(f"the daemon does not start: {reason[:200]} (see {log} in {home.log})")
