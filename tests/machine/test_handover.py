"""Hand-over: a running branch goes on in another process, and nobody inside or attached can tell."""

import os
import threading
import time
from pathlib import Path

import pytest

from core.daemon import streams
from core.daemon.client import Client
from core.daemon.start import end_all, ensure_daemon
from core.engine.context import FAULT
from core.errors import Conflict, VertuiError
from core.home import Home
from core.model import ExecRequest
from tests.conftest import full
from tests.guests import Guest, Ran, collect
from tests.reliability.test_killed_midway import is_machine

LINES = 120
COUNT = f"i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo line $i; sleep 0.05; done"
FILL_MB = 40
FILL = f"""
import os, time
kept = [os.urandom(1 << 20) for _ in range({FILL_MB})]
open("/run/filled", "w").close()
time.sleep(1000)
"""
TALK = """
import os, socket, threading, time
listener = socket.create_server(("127.0.0.1", 7000))
def serve():
    peer, _ = listener.accept()
    while data := peer.recv(100):
        peer.sendall(data)
threading.Thread(target=serve, daemon=True).start()
line = socket.create_connection(("127.0.0.1", 7000))
for number in range(1, 100000):
    line.sendall(b"%d\\n" % number)
    assert line.recv(100) == b"%d\\n" % number
    open("/run/talked.new", "w").write(str(number))
    os.rename("/run/talked.new", "/run/talked")
    time.sleep(0.02)
"""
STEPS = ("hand-over.started", "hand-over.stopped", "hand-over.loaded", "hand-over.written")


class Reading(threading.Thread):
    """A stream read to its end by a thread of its own."""

    def __init__(self, stream: streams.Stream) -> None:
        super().__init__(daemon=True)
        self.stream = stream
        self.ran: Ran | None = None
        self.start()

    def run(self) -> None:
        """Each byte once and in order, or the thread ends without a result."""
        self.ran = collect(self.stream)

    def result(self) -> Ran:
        """What was printed; the stream must have ended well."""
        self.join(60)
        assert self.ran is not None, "the stream broke"
        return self.ran


def fill(main: Guest) -> None:
    """Let the guest change much memory and keep it."""
    main.start(f"exec python3 -c '{FILL}'")
    main.text("until [ -e /run/filled ]; do sleep 0.1; done")


def pid(client: Client, name: str = "main") -> int | None:
    return next(branch.pid for branch in client.tree().branches if branch.name == name)


def machines(home: Home) -> set[int]:
    return {int(path.name) for path in Path("/proc").glob("[0-9]*") if is_machine(path, home)}


def test_what_runs_and_who_follows_it_go_on(main: Guest, client: Client) -> None:
    client.change_setting("handover.bytes", "0")
    fill(main)
    main.start(f"exec python3 -c '{TALK}'")
    main.text("until [ -s /run/talked ]; do sleep 0.1; done")
    typed = streams.run(client.home, ExecRequest("main", ("cat",), stdin=True))
    typing, counting = (
        Reading(typed),
        Reading(streams.run(client.home, ExecRequest("main", ("sh", "-c", COUNT)))),
    )
    typed.write(b"before\n")
    client.commit("main", "much")
    before, booted, first = (
        branch_of(client).changed_bytes,
        main.text("cat /proc/sys/kernel/random/boot_id"),
        pid(client),
    )
    for number in range(2):
        main.text(f"echo {number} > /root/kept{number}; sync")
        done = client.hand_over("main")
        typed.write(b"after %d\n" % number)
        talked = int(main.text("cat /run/talked"))
        main.text(f"until [ $(cat /run/talked) -gt {talked + 5} ]; do sleep 0.1; done")
        assert main.text("cat /proc/sys/kernel/random/boot_id; hostname") == f"{booted}\nmain"
        assert main.text("cat /root/kept*").splitlines() == [str(line) for line in range(number + 1)]
        assert done.commit == branch_of(client).head
        client.commit("main", "again")
    assert pid(client) != first
    assert len(machines(client.home)) == 1
    assert branch_of(client).changed_bytes < before - FILL_MB * 900_000
    typed.eof()
    assert typing.result().stdout == b"before\nafter 0\nafter 1\n"
    assert counting.result().text.splitlines() == [f"line {number}" for number in range(1, LINES + 1)]


def branch_of(client: Client):  # type: ignore[no-untyped-def]
    return next(branch for branch in client.tree().branches if branch.name == "main")
