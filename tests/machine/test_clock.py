"""A guest's clock is the host's, whatever stopped the machine, unless somebody in the guest set one of their own."""

import time

from core.daemon.client import Client
from core.daemon.start import ensure_daemon
from core.home import Home
from tests.conftest import full
from tests.guest_clocks import is_right
from tests.guests import Guest

STOPPED_S = 3.0
COMMITS = 25 if full() else 8
STEP = """
import time
def ahead(): return max(time.time() - time.monotonic() for _ in range(20))
wanted = ahead() + {}
while abs(ahead() - wanted) > 0.005: time.clock_settime(time.CLOCK_REALTIME, time.monotonic() + wanted)
"""


def step(guest: Guest, seconds: float) -> None:
    """Set a guest's clock by this much, however long the guest is kept waiting meanwhile: `date -s` is late by that."""
    guest.text(f"python3 -c '{STEP.format(seconds)}'")


def test_a_stopped_clock_is_set(main: Guest, client: Client, home: Home) -> None:
    """By resume, by commits, by a fork of a commit, by a restore, by undo, and by a daemon that finds it paused."""
    assert is_right(main)
    client.pause("main")
    time.sleep(STOPPED_S)
    client.resume("main")
    assert is_right(main)
    for number in range(COMMITS):
        main.text(f"echo {number} > /root/number")
        client.commit("main", wait=False)
    assert is_right(main)
    client.pause("main")
    Client(home).stop_daemon()
    time.sleep(STOPPED_S)
    ensure_daemon(home)
    client.resume("main")
    assert is_right(main)
    client.fork(client.commit("main").commit.id, 1)
    assert is_right(main.other("b1"))
    client.restore("main", None)
    assert is_right(main)
    client.undo()
    assert is_right(main)


def test_a_clock_set_on_purpose_keeps_its_distance(main: Guest, client: Client) -> None:
    """Forks and restored machines go on in that time; a second is taken for an error and goes."""
    month = 30 * 86400.0
    step(main, month)
    client.pause("main")
    time.sleep(STOPPED_S)
    client.resume("main")
    client.fork("main", 1)
    assert is_right(main, month)
    assert is_right(main.other("b1"), month)
    client.restore("main", client.commit("main").commit.id)
    assert is_right(main, month)
    step(main, -month - 1.0)
    client.commit("main")
    assert is_right(main)
