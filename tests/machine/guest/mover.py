"""Runs in a guest: draws random values in one thread while another takes the process from group to group, without end.

usage: mover.py LOG CGROUPS. It lets run again whatever group it comes to.
"""

import itertools
import os
import socket
import sys
import threading
import time

RESTS_EVERY = 7  # steps: of the four there are, each is rested at in turn


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
    """From the root to a group that runs, and back, leaving that frozen.

    It rests a moment after every few steps, each time at another: beside guests that never rest, hosts have been seen
    to starve all else.
    """
    os.makedirs(f"{root}/here", exist_ok=True)  # noqa: PTH103
    freeze, here, out = (
        os.open(f"{root}/{name}", os.O_WRONLY)
        for name in ("here/cgroup.freeze", "here/cgroup.procs", "cgroup.procs")
    )
    steps = itertools.cycle(((freeze, b"0"), (here, b"0"), (out, b"0"), (freeze, b"1")))
    for number, (file, value) in enumerate(steps):
        os.write(file, value)
        if number % RESTS_EVERY == 0:
            time.sleep(0.001)


log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
threading.Thread(target=draw, args=(log,)).start()
move(sys.argv[2])
