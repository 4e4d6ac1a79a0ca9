"""Machines out of stored commits: taken back in place, started lazily, and whoever serves their pages may die."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.daemon.start import end_all, ensure_daemon
from core.errors import GuestFailed, NotFound
from core.holder.held import HolderLine
from core.home import Home
from core.store.views.keeper import KEY as VIEWS
from tests.conftest import full
from tests.guests import Guest, eventually, one_layer_each
from tests.stored import memory_bytes, read_bytes, settled

MEGABYTES = 100 if full() else 20
KILLS, MACHINES = (20, 8) if full() else (4, 2)
SUCCESSOR_S = 1.0
STOPS_S = 1.0  # from what a line of shell says to what it does next
COUNTER = f"""
import hashlib, os, random, time
room = random.Random(7).randbytes({MEGABYTES} << 20)
count = 0
while True:
    count += 1
    if os.path.exists("/tmp/ask"):
        os.unlink("/tmp/ask")
        told = f"{{hashlib.sha256(room).hexdigest()}} {{count}}"
        with open("/tmp/told.new", "w") as file:
            file.write(told)
        os.rename("/tmp/told.new", "/tmp/told")
    time.sleep(0.01)
"""
ASK = "rm -f /tmp/told; touch /tmp/ask; while [ ! -e /tmp/told ]; do sleep 0.1; done; cat /tmp/told"
TREE = "find /usr/bin /usr/sbin -xdev -type f | sort | xargs sha256sum 2>&1 | sha256sum"


def ask(guest: Guest) -> tuple[str, int]:
    """The hash the program makes of its memory now, and its count."""
    digest, count = guest.text(ASK).split()
    return digest, int(count)


def test_restore_takes_a_branch_back_in_place(main: Guest, client: Client) -> None:
    [before] = client.tree().branches
    main.text("echo early > /root/state; echo early > /dev/shm/state")
    early = client.commit("main", "early").commit
    main.text("echo late > /root/state; echo late > /dev/shm/state")
    after = client.restore("main", early.id)
    assert (after.name, after.address, after.namespace, after.head) == (
        "main",
        before.address,
        before.namespace,
        early.id,
    )
    assert main.text("cat /root/state /dev/shm/state; hostname") == "early\nearly\nmain"
    client.undo()
    assert main.text("cat /root/state /dev/shm/state; hostname") == "late\nlate\nmain"
    client.redo()
    assert main.text("cat /root/state") == "early"
    assert [branch.state for branch in client.tree().branches] == ["running"]
    with pytest.raises(NotFound):
        client.restore("main", "nothing-like-it")
    assert main.text("cat /root/state") == "early"


def test_a_guest_whose_agent_is_gone_is_not_thrown_away(main: Guest, client: Client) -> None:
    """What it is now cannot be kept, so that nothing but `prune --now` ends it; each refusal says so."""
    client.commit("main", "early")
    main.start("pid=$(pgrep -f lib/vertui/agent); echo stops > /dev/console; kill -STOP $pid")
    assert eventually(lambda: b"stops" in client.console_text("main"))
    time.sleep(STOPS_S)

    def refusal(verb: Callable[[], object]) -> str:
        with pytest.raises(GuestFailed) as refused:
            verb()
        return str(refused.value)

    before = client.tree()
    way_out = "`vertui prune --now main` ends this one uncommitted"
    for verb in (lambda: client.restore("main"), lambda: client.execute(client.plan_prune(["main"]))):
        assert way_out in refusal(verb)
    [left], [was] = client.tree().branches, before.branches
    assert (left.pid, left.state, left.head) == (was.pid, "running", was.head)
    client.execute(client.plan_prune(["main"], now=True))
    assert not client.tree().branches


def test_a_cold_child_is_the_committed_machine(main: Guest, client: Client, home: Home) -> None:
    """After the daemon and its page cache are gone: memory, files and counters are what they were."""
    main.text(f"cat > /root/counter.py <<'END'\n{COUNTER}\nEND")
    main.start("exec python3 /root/counter.py")
    digest, count = ask(main)
    tree = main.text(TREE)
    commit = client.commit("main").commit
    Client(home).stop_daemon()
    for path in [*home.root.glob("store/packs/*"), *home.root.glob("commits/*")]:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    ensure_daemon(home)
    [child] = client.fork(commit.id, 1).children
    assert child.ok, child.reason
    cold = main.other(child.name)
    again, later = ask(cold)
    assert again == digest and count < later < count + 6000
    assert cold.text(TREE) == tree


def start_cold(home: Home) -> None:
    """Nothing of the home runs and none of it is in the page cache; then a daemon."""
    end_all(home)
    for path in [*home.root.glob("store/**/*"), *home.root.glob("commits/*"), *home.root.glob("images/*/*")]:
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    ensure_daemon(home)


def read_by_fork(main: Guest, commit: str, n: int, *, eager: bool = False) -> int:
    """What is read of the store for n cold children until each has run a command."""
    start_cold(main.client.home)
    before = settled(main.client.home)
    children = main.client.fork(commit, n, "cold", eager=eager).children
    assert [child.reason for child in children] == [""] * n
    assert [main.other(child.name).text("hostname") for child in children] == [
        child.name for child in children
    ]
    read = read_bytes(main.client.home) - before
    main.client.execute(main.client.plan_prune([child.name for child in children], now=True))
    return read


@pytest.mark.usefixtures("nothing_waits")
def test_a_cold_fork_reads_little_and_each_frame_once(main: Guest, client: Client, home: Home) -> None:
    """However many children: what one of them made the server read lies in the page cache for the others."""
    main.text("python3 -c 'import json'; echo work > /root/work")
    commit = client.commit("main").commit.id
    client.suspend_all(now=True)
    stored = memory_bytes(home, commit)
    alone = read_by_fork(main, commit, 1)
    together = read_by_fork(main, commit, MACHINES)
    whole = read_by_fork(main, commit, 1, eager=True)
    print(f"one reads {alone}, {MACHINES} read {together}, eager reads {whole}, stored are {stored}")
    assert alone < 0.25 * stored
    assert together < 1.3 * alone
    assert whole >= stored


@pytest.mark.usefixtures("nothing_waits")
def test_commits_leave_no_chain(main: Guest, client: Client, home: Home) -> None:
    """However many commits, a machine lies on one layer: those below became disk tables."""
    for step in range(6):
        main.text(f"echo {step} > /root/{step}")
        client.commit("main")
        assert one_layer_each(client) == 1
    children = client.fork("main", 2).children
    assert one_layer_each(client) == 3
    grandchild = client.fork(children[0].name, 1).children[0]
    assert one_layer_each(client) == 4
    assert main.other(grandchild.name).text("cat /root/[0-9]").split() == [str(step) for step in range(6)]


def test_the_view_server_may_die(main: Guest, client: Client, home: Home) -> None:
    """Killed again and again under machines that are still reading their memory: none ends, none reads wrong."""
    tree = main.text(TREE)
    children = client.fork("main", MACHINES).children
    guests = [main, *(main.other(child.name) for child in children)]
    commands = [guest.start(f"for n in 1 2 3; do {TREE}; done") for guest in guests]
    held = HolderLine(home)
    try:
        for _ in range(KILLS):
            pid = held.holdings().children[VIEWS]
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            while held.holdings().children.get(VIEWS, pid) == pid:
                assert time.monotonic() < killed + 10 * SUCCESSOR_S
                time.sleep(0.01)
            time.sleep(0.2)
    finally:
        held.close()
    for guest, command in zip(guests, commands, strict=True):
        assert set(guest.attach(command).text.splitlines()) == {tree}
    assert {branch.state for branch in client.tree().branches} == {"running"}
    assert not Path(home.log / "views.log").read_text().count("page ")
