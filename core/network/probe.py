"""Can this machine make branch networks? Tried for real, in a process that takes everything with it.

`check()` runs this module as a program: a private user namespace (when not root) can only be entered by a
process with one thread, and its end is what leaves nothing behind.
"""

import json
import os
import subprocess
from collections.abc import Callable

from core import host, linux
from core.errors import Unsupported, VertuiError
from core.network import nft, tap
from core.network.hub import HubNetwork
from core.patience import patient
from core.python import program

Check = tuple[str, bool, str]
"""Name, whether it works, and the one line that says how to fix it (empty when it works)."""

_TIMEOUT_S = patient(20.0)


def check() -> list[Check]:
    """Every requirement of branch networks with its state and fix; nothing is left behind."""
    try:
        answer = subprocess.run(
            program("core.network.probe"), capture_output=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return [("networks", False, f"the probe did not finish: {error}")]
    return [(name, ok, fix) for name, ok, fix in json.loads(answer.stdout)]


def probe() -> list[Check]:
    """The checks, in this process, which moves into namespaces of its own for good."""
    results = [
        _tried("private network namespace", _isolate),
        _tried(tap.DEVICE, _open_tun),
        _tried("libnftables", nft.library),
    ]
    if all(ok for _, ok, _ in results):
        results.append(_tried("branch network", _whole_branch))
    return results


def _tried(name: str, step: Callable[[], object]) -> Check:
    try:
        step()
    except VertuiError as error:
        return name, False, str(error)
    return name, True, ""


def _isolate() -> None:
    try:
        linux.unshare(linux.CLONE_NEWNET | (linux.CLONE_NEWUSER if os.geteuid() else 0))
    except OSError as error:
        raise Unsupported(host.no_namespaces()) from error


def _open_tun() -> None:
    try:
        os.close(os.open(tap.DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        raise Unsupported(tap.missing()) from error


def _whole_branch() -> None:
    hub = HubNetwork()
    hub.prepare()
    network = hub.create(1)
    network.set_link(True)
    network.close()
    hub.close()


if __name__ == "__main__":
    print(json.dumps(probe()))
