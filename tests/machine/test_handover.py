"""Hand-over: a running branch goes on in another process, and nobody inside, attached or connected can tell."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest

from core.daemon import streams
from core.daemon.client import Client
from core.errors import Conflict, MachineFailed, VertuiError
from core.home import Home
from core.model import Branch, ExecRequest
from tests.conftest import full, keep_nothing_waiting
from tests.guest_clocks import is_right
from tests.guests import Guest, Ran, collect
from tests.reliability.test_killed_midway import is_machine

COUNT = """
import os, time
number = 0
while not os.path.exists("/run/enough"):
    number += 1
    print("line", number, flush=True)
    open("/run/number", "w").write(str(number))
    time.sleep(0.05)
"""
FILL_MB = 40
FILL = f"""
import os, time
kept = [os.urandom(1 << 20) for _ in range({FILL_MB})]
open("/run/filled", "w").close()
time.sleep(1000)
"""
TALK = """
import os, socket, threading, time
def serve(listener):
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=answer, args=[peer], daemon=True).start()
def answer(peer):
    while data := peer.recv(100):
        peer.sendall(data)
listener = socket.create_server(("", 7000))
threading.Thread(target=serve, args=[listener], daemon=True).start()
line = socket.create_connection(("127.0.0.1", 7000))
for number in range(1, 100000):
    line.sendall(b"%d\\n" % number)
    assert line.recv(100) == b"%d\\n" % number
    open("/run/talked.new", "w").write(str(number))
    os.rename("/run/talked.new", "/run/talked")
    time.sleep(0.02)
"""
ASK = """
import socket, sys
line = socket.create_connection((sys.argv[1], 7000), 20)
for word in iter(sys.stdin.readline, ""):
    line.sendall(word.encode())
    print(line.recv(100).decode(), end="", flush=True)
"""
STEPS = ("hand-over.started", "hand-over.stopped", "hand-over.loaded", "hand-over.written")
CASES = (
    list(product(STEPS, ("kill", "fail")))
    if full()
    else [("hand-over.stopped", "kill"), ("hand-over.written", "kill"), ("hand-over.written", "fail")]
)
DEADLINE_S = 30.0


class Reading(threading.Thread):
    """A command's stream read to its end by a thread of its own: each byte once and in order, or it breaks."""

    def __init__(self, stream: streams.Stream) -> None:
        super().__init__(daemon=True)
        self.stream = stream
        self.ran: Ran | None = None
        self.start()

    def run(self) -> None:
        """Read."""
        self.ran = collect(self.stream)

    def result(self) -> Ran:
        """What was printed."""
        self.join(60)
        assert self.ran is not None, "the stream broke"
        return self.ran


def follow(client: Client, *argv: str) -> Reading:
    """Run a command and follow it, its stdin open."""
    return Reading(streams.run(client.home, ExecRequest("main", argv, stdin=True)))


def fill(main: Guest) -> None:
    """Let the guest change much memory and keep it, and talk to itself."""
    main.start(f"exec python3 -c '{FILL}'")
    main.start(f"exec python3 -c '{TALK}'")
    main.text("until [ -e /run/filled ] && [ -s /run/talked ]; do sleep 0.1; done")


def talks_on(guest: Guest) -> None:
    """The connection inside goes on."""
    talked = int(guest.text("cat /run/talked"))
    guest.text(f"until [ $(cat /run/talked) -gt {talked + 5} ]; do sleep 0.1; done")


def assert_counted(ran: Ran) -> None:
    """Every line of the counter, once and in order."""
    lines = ran.text.splitlines()
    assert lines == [f"line {number}" for number in range(1, len(lines) + 1)]
    assert lines


def counts_on(guest: Guest) -> None:
    """The counter prints more."""
    await_number = "until [ -s /run/number ]; do sleep 0.1; done"
    guest.text(f"{await_number}; rm /run/number; {await_number}")


def branch(client: Client, name: str = "main") -> Branch:
    """A branch as `ls` shows it."""
    return next(branch for branch in client.tree().branches if branch.name == name)


def machines(home: Home) -> set[int]:
    """The pids of a home's machines."""
    return {int(path.name) for path in Path("/proc").glob("[0-9]*") if is_machine(path, home)}


@contextmanager
def asking(client: Client, address: str) -> Iterator["subprocess.Popen[str]"]:
    """A program in the hub, connected to the guest: a line in, a line back."""
    enter = ["nsenter", f"--net=/proc/{client.status().pid}/ns/net", "python3", "-c", ASK, address]
    with subprocess.Popen(enter, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asked:
        try:
            yield asked
        finally:
            asked.kill()


def ask(asked: "subprocess.Popen[str]", word: str) -> str:
    """What comes back."""
    assert asked.stdin is not None
    assert asked.stdout is not None
    asked.stdin.write(f"{word}\n")
    asked.stdin.flush()
    return asked.stdout.readline().strip()


@pytest.mark.usefixtures("nothing_waits")
def test_what_runs_and_who_follows_it_go_on(main: Guest, client: Client) -> None:
    client.change_setting("handover.bytes", "0")
    fill(main)
    typing, counting = follow(client, "cat"), follow(client, "python3", "-c", COUNT)
    typing.stream.write(b"before\n")
    client.commit("main", "much")
    before = branch(client)
    counts_on(main)
    boot = main.text("cat /proc/sys/kernel/random/boot_id")
    with asking(client, str(before.address)) as outside:
        assert ask(outside, "before") == "before"
        for number in range(2):
            main.text(f"echo {number} > /root/kept{number}; sync")
            done = client.hand_over("main")
            typing.stream.write(b"after %d\n" % number)
            assert ask(outside, f"after{number}") == f"after{number}"
            talks_on(main)
            assert main.text("cat /proc/sys/kernel/random/boot_id; hostname") == f"{boot}\nmain"
            assert main.text("cat /root/kept*").splitlines() == [str(line) for line in range(number + 1)]
            assert done.commit == branch(client).head
            assert is_right(main)
            client.commit("main", "again")
    now = branch(client)
    assert now.pid != before.pid
    assert machines(client.home) == {now.pid}
    assert (now.address, now.namespace) == (before.address, before.namespace)
    assert now.changed_bytes < before.changed_bytes - FILL_MB * 900_000
    typing.stream.eof()
    assert typing.result().stdout == b"before\nafter 0\nafter 1\n"
    counts_on(main)
    main.text("touch /run/enough")
    assert_counted(counting.result())


def test_it_forks_commits_and_restores_as_before(main: Guest, client: Client) -> None:
    client.change_setting("handover.bytes", "0")
    fill(main)
    main.text("dd if=/dev/urandom of=/root/before bs=1M count=3; sync")
    client.commit("main", "much")
    main.text("head -c 5000000 /dev/urandom > /dev/shm/since; date > /root/since")
    sums, pids = main.text("sha256sum /dev/shm/since /root/before /root/since"), main.text("pidof python3")
    client.hand_over("main")
    assert main.text("sha256sum /dev/shm/since /root/before /root/since") == sums
    assert main.text("pidof python3") == pids
    forked = client.fork("main", 2)
    for child in forked.children:
        assert child.ok, child.reason
        assert main.other(child.name).text("sha256sum /dev/shm/since /root/before /root/since") == sums
        talks_on(main.other(child.name))
    assert client.diff("main", "b1").entries == ()
    client.commit("main", "since")
    client.suspend_all()
    client.resume("main")
    assert main.text("sha256sum /dev/shm/since /root/before /root/since") == sums
    talks_on(main)
    assert client.check_store(100.0) == []


def test_it_happens_by_itself_after_a_fork(main: Guest, client: Client) -> None:
    client.change_setting("handover.bytes", str(30 << 20))
    fill(main)
    first = branch(client).pid
    client.fork("main", 1)
    deadline = time.monotonic() + DEADLINE_S
    told: list[float] = []
    while time.monotonic() < deadline and not told:
        time.sleep(0.2)
        told = [
            line.figures["rebase_ms"] for line in client.log() if line.verb == "hand-over" and line.figures
        ]
    assert told, client.log(3)
    assert branch(client).pid != first
    assert not client.log(1)[0].undoable
    talks_on(main)
    assert branch(client, "b1").state == "running"


def test_refusals(main: Guest, client: Client) -> None:
    with pytest.raises(Conflict, match="on its head already"):
        client.hand_over("main")
    client.commit("main", "one")
    client.pause("main")
    with pytest.raises(Conflict, match="paused"):
        client.hand_over("main")
    client.resume("main")
    assert main.text("echo on") == "on"


@pytest.mark.usefixtures("nothing_waits")
def test_a_new_process_that_dies_changes_nothing(main: Guest, client: Client) -> None:
    client.change_setting("handover.bytes", "0")
    fill(main)
    client.commit("main", "much")
    counting, first = follow(client, "python3", "-c", COUNT), branch(client).pid
    assert first
    counts_on(main)
    killing = threading.Thread(target=kill_the_next, args=[client.home, machines(client.home)])
    killing.start()
    with pytest.raises(MachineFailed):
        client.hand_over("main")
    killing.join()
    talks_on(main)
    assert machines(client.home) == {first} == {branch(client).pid}
    counts_on(main)
    main.text("touch /run/enough")
    assert_counted(counting.result())
    client.hand_over("main")
    talks_on(main)


def kill_the_next(home: Home, known: set[int]) -> None:
    """End the machine that starts next."""
    deadline = time.monotonic() + DEADLINE_S
    while not (new := machines(home) - known) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(new.pop(), signal.SIGKILL)


@pytest.mark.parametrize(("step", "how"), CASES)
def test_stopped_at_a_step(main: Guest, client: Client, fault: Path, step: str, how: str) -> None:
    """One machine is left whatever happens, and the branch goes on; where it failed, so do streams."""
    client.change_setting("handover.bytes", "0")
    keep_nothing_waiting(client)
    fill(main)
    client.commit("main", "much")
    command = main.start(f"exec python3 -c '{COUNT}'")
    counting = follow(client, "python3", "-c", COUNT) if how == "fail" else None
    counts_on(main)
    address = str(branch(client).address)
    with asking(client, address) as outside:
        assert ask(outside, "before") == "before"
        fault.write_text(f"{step}={how}")
        with pytest.raises(VertuiError):
            client.hand_over("main")
        fault.unlink()
        talks_on(main)
        assert ask(outside, "after") == "after"
        assert machines(client.home) == {branch(client).pid}
        counts_on(main)
        main.text("touch /run/enough")
        assert_counted(main.attach(command))
        if counting:
            assert_counted(counting.result())
        client.commit("main", "again")
        client.hand_over("main")
        assert ask(outside, "again") == "again"
    assert client.fork("main", 1).children[0].ok
    talks_on(main)
