"""What is written to a terminal arrives whole, whatever this process was started with."""

import os
import pty
import signal
import subprocess
import sys
import time
import tty

WRITES = """
import signal, sys
from vertui import standard
standard.prepare()
signal.signal(signal.SIGWINCH, lambda *_: None)
for _ in range(8):
    sys.__stderr__.write("x" * 100_000)  # what Textual draws on
sys.__stderr__.write("the end")
sys.__stderr__.flush()
"""


def test_nothing_that_a_signal_interrupts_is_lost_unbuffered() -> None:
    terminal, theirs = pty.openpty()
    tty.setraw(theirs)
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([sys.executable, "-c", WRITES], stderr=theirs, env=environment) as child:
        os.close(theirs)
        told = os.read(terminal, 1)  # it is at it
        while not told.endswith(b"the end"):
            child.send_signal(signal.SIGWINCH)
            time.sleep(0.001)
            try:
                told += os.read(terminal, 1 << 14)
            except OSError:  # it is gone
                break
    os.close(terminal)
    assert (len(told), told[-7:]) == (800_007, b"the end")
