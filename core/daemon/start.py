"""Start the daemon when it is first needed, and end everything when asked."""

import json
import os
import subprocess
import sys
import time
from typing import Any

from core.daemon.client import UnixConnection
from core.daemon.held import connect
from core.errors import DaemonUnavailable, VertuiError
from core.home import Home

START_DEADLINE_S = 20.0  # imports and adoption of 100 machines on a busy two-core host
END_DEADLINE_S = 20.0


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


def end_all(home: Home) -> bool:
    """End the holder and with it every process of this home; False when nothing ran."""
    try:
        with connect(home) as holder:
            holder.sendall(json.dumps({"do": "end"}).encode())
            holder.settimeout(END_DEADLINE_S)
            while holder.recv(65536):
                pass
    except ConnectionResetError:
        pass
    except OSError:
        return False
    return True


def _ask_holder(home: Home, do: str) -> dict[str, Any] | None:
    """The holder's answer; None when there is no holder."""
    try:
        with connect(home) as holder:
            holder.sendall(json.dumps({"do": do}).encode())
            answer: dict[str, Any] = json.loads(holder.recv(65536))
            return answer
    except (OSError, ValueError):
        return None


def _start_holder(home: Home) -> None:
    """Start the holder in a session of its own and wait until it listens or ends."""
    with (home.log / "holder.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "core.daemon.holder", str(home.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"VERTUI_HOME": str(home.root)},
        )
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline and not home.holder_socket.exists():
        if process.poll() is not None:
            if process.returncode:
                raise _failed(home, "holder.log")
            return
        time.sleep(0.005)


def _failed(home: Home, log: str) -> VertuiError:
    """The last line of a log is the reason; what cannot be shown is named."""
    lines = (home.log / log).read_text(errors="replace").splitlines() if (home.log / log).exists() else []
    reason = next((line.strip() for line in reversed(lines) if line.strip()), "no reason was logged")
    return DaemonUnavailable(f"the daemon does not start: {reason[:200]} (see {log} in {home.log})")
