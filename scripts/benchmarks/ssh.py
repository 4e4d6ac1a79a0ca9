"""`scripts/bench ssh`: bytes a second into a branch and out of it, by ssh and beside it by `nc`, over the same tap."""

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

from lab import MB, Lab, lab
from report import Report

SIZE, QUICK = 64 << 20, 8 << 20
PIECE = bytes(256 * 1024)
PORT = 9000
NC = f"/usr/lib/vertui/busybox nc -l -p {PORT} -e"
LISTENS = f"until ss -Hltn 'sport = :{PORT}' | grep -q .; do sleep 0.05; done"
VERTUI = f"{sys.executable} -m vertui"
OF_NC = (
    0.5  # that `vertui connect` carries at least: the guest's stack is what costs, not what stands before it
)


@dataclass(frozen=True)
class Way:
    """How bytes go: what runs in the guest, and beside it here a line of shell, or else a socket of this process."""

    name: str
    guest: str = ""
    here: str = ""


def measure(quick: bool) -> Report:
    """One stream at a time, the best of three, with a guest that does nothing else."""
    report, size = Report("bytes into a branch and out of it"), QUICK if quick else SIZE
    zeros = f"head -c {size} /dev/zero"
    ways = (
        Way("in: `nc` in the guest, a socket here", f"{NC} sh -c 'cat > /dev/null'"),
        Way(
            "in: `nc` in the guest, `vertui connect`",
            f"{NC} sh -c 'cat > /dev/null'",
            f"{zeros} | {VERTUI} connect main {PORT}",
        ),
        Way("in: `vertui ssh`", "", f"{zeros} | {VERTUI} ssh main -- 'cat > /dev/null'"),
        Way("out: `nc` in the guest, a socket here", f"{NC} {zeros}"),
        Way(
            "out: `nc` in the guest, `vertui connect`",
            f"{NC} {zeros}",
            f"{VERTUI} connect main {PORT} < /dev/null > /dev/null",
        ),
        Way("out: `vertui ssh`", "", f"{VERTUI} ssh main -- {zeros} > /dev/null"),
    )
    with lab("ssh") as found:
        found.client.up("base", "main")
        best = [max(_rate(found, way, size) for _ in range(1 if quick else 3)) for way in ways]
    for first in (0, 3):  # in, out
        beside = best[first]
        for way, rate in zip(ways[first : first + 3], best[first : first + 3], strict=True):
            must = OF_NC * beside if "connect" in way.name else None
            report.add(
                way.name, rate, "MB/s", must=must and round(must, 1), at_least=True, promise=3,
                timed=f"begun to all taken, with what it takes to connect; {rate / beside:.2f} of `nc`",
            )  # fmt: skip
    return report


def _rate(found: Lab, way: Way, size: int) -> float:
    if way.guest:
        found.start("main", "sh", "-c", way.guest)
        found.text("main", "sh", "-c", LISTENS)
    began = time.perf_counter()
    if way.here:
        environment = os.environ | {"VERTUI_HOME": str(found.home.root)}
        subprocess.run(way.here, shell=True, check=True, env=environment)
    else:
        _by_socket(found, size if way.name.startswith("in") else 0)
    return size / MB / (time.perf_counter() - began)


def _by_socket(found: Lab, size: int) -> None:
    """Send so much, and take what comes."""
    with found.client.dial("main", PORT) as connection:
        for _ in range(size // len(PIECE)):
            connection.sendall(PIECE)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(len(PIECE)):
            pass
