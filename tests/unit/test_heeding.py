"""A signal is heeded while the main thread waits for ever, whichever thread the kernel gave it to."""

import signal
import subprocess
import sys

import pytest

STUCK = """
import os, signal, threading
from vertui.heeding import heeded

with heeded((signal.SIGHUP,), lambda number: os._exit(100 + number)):
    lock, other = threading.Lock(), threading.Event()
    thread = threading.Thread(target=other.wait, daemon=True)
    thread.start()
    {send}
    lock.acquire()
    lock.acquire()
"""


@pytest.mark.parametrize(
    "send",
    [
        "threading.Timer(0.2, signal.pthread_kill, [thread.ident, signal.SIGHUP]).start()",
        "threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGHUP]).start()",
        "signal.raise_signal(signal.SIGHUP)",
    ],
    ids=["given to another thread", "given to the process", "before it waits"],
)
def test_it_is_heeded(send: str) -> None:
    ended = subprocess.run([sys.executable, "-c", STUCK.format(send=send)], timeout=30, check=False)
    assert ended.returncode == 100 + signal.SIGHUP


def test_afterwards_signals_do_what_they_did() -> None:
    script = """
import os, signal
from vertui.heeding import heeded

seen = []
signal.signal(signal.SIGHUP, lambda *_: seen.append("own"))
open_before = len(os.listdir("/proc/self/fd"))
with heeded((signal.SIGHUP,), seen.append):
    signal.raise_signal(signal.SIGHUP)
    while not seen:
        pass
signal.raise_signal(signal.SIGHUP)
while len(os.listdir("/proc/self/fd")) > open_before:
    pass
print(*seen)
"""
    told = subprocess.run([sys.executable, "-c", script], timeout=30, capture_output=True, text=True)
    assert (told.returncode, told.stdout) == (0, "1 own\n"), told.stderr
