"""The UI is as large as its terminal; and however it ends, that is as it was, one line says why, and the exit status is
no lie.
"""

import gc
import os
import pty
import shutil
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.guests import eventually
from vertui import app

ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"


def test_its_size_is_its_terminals_and_not_what_a_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "LINES"):
        monkeypatch.setenv(name, "20")
    with monkeypatch.context() as patched:
        patched.setattr(gc, "disable", lambda: None)
        app.prepare()
    master, slave = pty.openpty()
    try:
        termios.tcsetwinsize(slave, (36, 120))
        with os.fdopen(os.dup(slave), "w") as shown:
            monkeypatch.setattr(sys, "__stdout__", shown)
            assert shutil.get_terminal_size() == (120, 36)
    finally:
        os.close(slave)
        os.close(master)


def started(*, controlling: bool = True) -> tuple[int, subprocess.Popen[bytes]]:
    """The UI in a terminal, of its own or of nobody's session; the terminal's other end."""
    master, slave = pty.openpty()
    root = Path(__file__).parents[2]
    environment = os.environ | {"TERM": "xterm-256color", "PYTHONPATH": str(root)}
    termios.tcsetwinsize(master, (24, 80))
    child = subprocess.Popen(
        ["setsid", *["-c"] * controlling, sys.executable, "-m", "tests.ui.dying"],
        stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=root,
    )  # fmt: skip
    os.close(slave)
    return master, child


@pytest.mark.parametrize(
    ("end", "status", "told"),
    [
        (signal.SIGTERM, 143, b""),
        (signal.SIGHUP, 129, b""),
        (b"w", 70, b"vertui: a bug: RuntimeError: of [/a key\\x1b[31m (VERTUI_DEBUG=1"),
    ],
)
def test_the_terminal_is_put_back(end: signal.Signals | bytes, status: int, told: bytes) -> None:
    master, child = started()
    shown = bytearray()

    def read(until: bytes) -> bool:
        try:
            shown.extend(os.read(master, 65536))
        except OSError:  # the last of its users has closed it
            return True
        return until in shown

    try:
        assert eventually(lambda: read(b"trunk"))
        assert ENTERED in shown
        if isinstance(end, bytes):
            os.write(master, end)
        else:
            child.send_signal(end)
        while not read(b"\0never"):
            pass
        assert child.wait(30) == status
        after = bytes(shown).rpartition(LEFT)[2]
        assert LEFT in shown and told in after and after.count(b"\n") <= 2 and b"Traceback" not in after
    finally:
        child.kill()
        child.wait()
        os.close(master)


def test_it_ends_with_a_terminal_that_took_nothing_more() -> None:
    master, child = started()
    try:
        shown = bytearray()

        def drawn() -> bool:
            shown.extend(os.read(master, 65536))
            return b"trunk" in shown

        assert eventually(drawn)
        for number in range(300):  # each draws all anew, and nobody reads it
            termios.tcsetwinsize(master, (24 + number % 2, 200))
            time.sleep(0.02)
    finally:
        os.close(master)
    try:
        assert child.wait(30) == 128 + signal.SIGHUP
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("controlling", [True, False])
def test_it_ends_with_its_terminal(controlling: bool) -> None:
    """Whoever is in another session than its terminal is sent no signal."""
    master, child = started(controlling=controlling)
    try:
        shown = bytearray()

        def drawn() -> bool:
            shown.extend(os.read(master, 65536))
            return b"trunk" in shown

        assert eventually(drawn)
        os.close(master)
        assert child.wait(30) == 128 + signal.SIGHUP
    finally:
        child.kill()
        child.wait()
