"""Runs in a guest: draws random values in one thread while another takes the process from group to group, without end.

usage: mover.py LOG CGROUPS. It lets run again whatever group it comes to.
"""

import os
import socket
import sys
import threading
import time


def generation() -> str:
    """The machine's generation now."""
    with open("/run/vertui/generation") as file:  # noqa: PTH123
        return file.read().strip()


def draw(log: int) -> None:
    """A line for each value that was surely drawn under one generation."""
    while True:
        before, value, name = generation(), os.urandom(16).hex(), socket.gethostname()
        if generation() == before:
            os.write(log, f"{before} {name} {value}\n".encode())
        time.sleep(0.005)


def move(root: str) -> None:
    """From the root to a group that runs, and back, leaving that frozen; some hundred times a second.

    Flat out it would move no better, and there are hosts (Linux 6.18) where who runs flat out for minutes starves all.
    """
    os.makedirs(f"{root}/here", exist_ok=True)  # noqa: PTH103
    freeze, here, out = (
        os.open(f"{root}/{name}", os.O_WRONLY)
        for name in ("here/cgroup.freeze", "here/cgroup.procs", "cgroup.procs")
    )
    while True:
        for file, value in ((freeze, b"0"), (here, b"0"), (out, b"0"), (freeze, b"1")):
            os.write(file, value)
        time.sleep(0.001)


log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
threading.Thread(target=draw, args=(log,)).start()
move(sys.argv[2])
