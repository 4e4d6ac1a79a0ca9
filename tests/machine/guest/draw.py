"""Runs in a guest: draws random values without end, each with the generation and name it was drawn under.

usage: draw.py LOG [THREAD_GROUP], where a threaded cgroup takes the thread that draws and this one stays.
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


def draw(log: int, group: str) -> None:
    """A line for each value that was surely drawn under one generation."""
    if group:
        with open(f"{group}/cgroup.threads", "w") as threads:  # noqa: PTH123
            threads.write(str(threading.get_native_id()))
    while True:
        before, value, name = generation(), os.urandom(16).hex(), socket.gethostname()
        if generation() == before:
            os.write(log, f"{before} {name} {value}\n".encode())
        time.sleep(0.05)


log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
thread = threading.Thread(target=draw, args=(log, sys.argv[2] if len(sys.argv) > 2 else ""))
thread.start()
thread.join()
