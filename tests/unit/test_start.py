"""A holder that cannot be started or reached is said to be so, why, and at once."""

import fcntl
import os
import subprocess
import sys
import time

import pytest

from core.daemon.start import ensure_daemon
from core.errors import DaemonUnavailable
from core.home import Home

SYS_ADMIN, PR_CAPBSET_DROP = 21, 24
START = f"""
import sys
from core.daemon.start import ensure_daemon
from core.errors import VertuiError
from core.home import find_home
from core.linux import libc
assert libc.prctl({PR_CAPBSET_DROP}, {SYS_ADMIN}, 0, 0, 0) == 0
try:
    ensure_daemon(find_home(sys.argv[1]))
except VertuiError as error:
    print(error)
"""


def test_a_home_at_work_elsewhere_is_named_at_once(home: Home) -> None:
    with home.holder_lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("12345\n/run/user/7/vertui-0123\n")
        lock.flush()
        began = time.monotonic()
        with pytest.raises(DaemonUnavailable, match="at work with its sockets in /run/user/7/vertui-0123"):
            ensure_daemon(home)
        assert time.monotonic() - began < 10.0


@pytest.mark.skipif(os.getuid() != 0, reason="only root has capabilities to lose")
def test_where_no_namespace_can_be_made_that_is_said_at_once(home: Home) -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", START, str(home.root)], capture_output=True, text=True, check=True
    )
    assert (
        "no private network namespace can be made: this container lacks CAP_SYS_ADMIN" in done.stdout
        and "holder.log" in done.stdout
    )
    assert time.monotonic() - began < 20.0
