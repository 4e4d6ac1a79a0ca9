"""Egress of real machines: a rule changes while they run, children have it, the way out is there while needed."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.errors import VertuiError
from core.home import Home
from core.model import Outward
from core.reach import NOWHERE, ReachMode
from core.verbs.egress import Egress, Mode
from core.verbs.undo import Undo
from tests.conftest import keep_nothing_waiting
from tests.guests import Guest, eventually
from tests.outside import OTHER, SERVER, started_outside

ECHO = "timeout 20 bash -c 'exec 3<>/dev/tcp/{0}/{1} && echo hello >&3 && head -1 <&3'"
TALK = """
import os, socket, time
with socket.create_connection(("server.test", 80)) as talking:
    open("/dev/shm/talks", "w").close()
    while True:
        talking.sendall(b"x")
        if talking.recv(1) != b"x":
            raise SystemExit("the other end is gone")
        os.utime("/dev/shm/talks")
        time.sleep(0.2)
"""
FRESH = "test $(( $(date +%s) - $(stat -c %Y /dev/shm/talks) )) -lt {0}"


@pytest.fixture
def client(idle_home: Home) -> Iterator[Client]:
    """Of a daemon whose holder was started where the servers are."""
    with started_outside(idle_home):
        client = Client(idle_home, starts=False)
        keep_nothing_waiting(client)
        yield client


def egress(client: Client, branch: str, mode: Mode, *rules: str) -> Outward:
    return client.do(Egress(branch, mode, rules))


def is_another(client: Client, killed: int) -> bool:
    """Does a daemon answer that is not the killed one?"""
    try:
        return client.status().pid != killed
    except VertuiError:
        return False


def ways_out(home: Home) -> int:
    """How many processes of a home are its way out."""
    mark, found = b"VERTUI_HOME=" + bytes(home.root) + b"\0", 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found += (
                b"eg0" in (process / "cmdline").read_bytes() and mark in (process / "environ").read_bytes()
            )
        except OSError:
            continue
    return found


def test_a_branch_reaches_what_it_may_while_it_may(main: Guest, client: Client) -> None:
    assert ways_out(client.home) == 0
    assert main.run("timeout 20 getent hosts server.test").code != 0
    assert main.run(ECHO.format(SERVER, 80)).code != 0
    told = egress(client, "main", "show")
    assert told.egress == NOWHERE and told.traffic.packets == 0 and told.traffic.refused >= 2
    assert {("server.test", 0), (SERVER, 80)} <= {(one.host, one.port) for one in told.refused}

    assert egress(client, "main", "allow", "server.test:80").egress.mode is ReachMode.ALLOW
    assert main.text(ECHO.format("server.test", 80)) == "hello" and ways_out(client.home) == 1
    for host, port in ((SERVER, 443), (OTHER, 80), ("same.test", 80)):
        assert main.run(ECHO.format(host, port)).code != 0, host
    main.start(f"python3 -c '{TALK}' > /dev/shm/said 2>&1")
    assert eventually(lambda: main.run(FRESH.format(3)).code == 0), main.text("cat /dev/shm/said")

    [child] = client.fork("main", 1).children
    assert child.ok
    other = main.other(child.name)
    assert other.text(ECHO.format("server.test", 80)) == "hello"
    assert other.run(ECHO.format(SERVER, 443)).code != 0
    egress(client, child.name, "off")
    assert other.run(ECHO.format(SERVER, 80)).code != 0

    killed = client.status().pid
    os.kill(killed, signal.SIGKILL)
    assert eventually(lambda: is_another(client, killed))
    assert main.text(ECHO.format("server.test", 80)) == "hello" and ways_out(client.home) == 1
    egress(client, "main", "allow", f"{SERVER}:80", "*.below.test")
    assert main.text(ECHO.format("a.below.test", 443)) == "hello"
    assert main.run(FRESH.format(5)).code == 0, main.text(
        "cat /dev/shm/said"
    )  # the same connection, all the time
    branch = next(branch for branch in client.tree().branches if branch.name == "main")
    assert branch.traffic.packets > 20 and [to.host for to in branch.egress.to] == [SERVER, "*.below.test"]

    egress(client, "main", "off")
    assert eventually(lambda: main.text("cat /dev/shm/said") != "")  # it was told at once, and did not wait
    assert main.run(ECHO.format("server.test", 80)).code != 0
    assert eventually(lambda: ways_out(client.home) == 0)
    client.do(Undo())
    assert main.text(ECHO.format(SERVER, 80)) == "hello" and ways_out(client.home) == 1
