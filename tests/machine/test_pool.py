"""Machines that wait for forks: taken, distinct when they run, and never in the way or left behind."""

import os
import signal
from pathlib import Path

from core.daemon.client import Client
from core.daemon.start import ensure_daemon
from core.home import Home
from core.model import Waiting
from tests.conftest import full as whole
from tests.guests import Guest, eventually

NOISE_BYTES = 8_000_000
LOOKED_AT = "/usr" if whole() else "/usr/bin"
DISTINCT = "hostname; cat /etc/machine-id; head -c 16 /dev/urandom | od -An -tx1"


def waiting(client: Client) -> Waiting:
    """What waits now."""
    return client.tree().waiting


def full(client: Client, machines: int = 8, spares: int = 2) -> None:
    """Wait until the pool holds so many."""
    assert eventually(lambda: (waiting(client).machines, waiting(client).spares) == (machines, spares))


def idle_pids(client: Client) -> set[int]:
    """The machines of no branch."""
    branches = {branch.pid for branch in client.tree().branches}
    return {pid for pid in machine_pids(client.home) if pid not in branches}


def machine_pids(home: Home) -> set[int]:
    """Every QEMU of the home."""
    mark = b"VERTUI_HOME=" + os.fsencode(home.root) + b"\0"
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = mark in (process / "environ").read_bytes()
            if ours and b"qemu-system" in (process / "cmdline").read_bytes():
                found.add(int(process.name))
        except OSError:
            continue
    return found


def test_a_fork_takes_machines_that_wait(main: Guest, client: Client) -> None:
    full(client)
    main.text("echo kept > /dev/shm/kept")
    ready = idle_pids(client)
    children = client.fork("main", 3).children
    assert all(child.ok for child in children), children
    pids = {branch.pid for branch in client.tree().branches if branch.name != "main"}
    assert pids <= ready
    told = [main.other(child.name).text(f"cat /dev/shm/kept; {DISTINCT}").splitlines() for child in children]
    assert [lines[0] for lines in told] == ["kept"] * 3
    assert all(len(set(values)) == 3 for values in list(zip(*told, strict=True))[1:])
    assert len({child.address for child in children}) == 3
    full(client, spares=4)  # the golden commit's, and the new head's


def test_children_of_spares_are_the_commit_and_distinct(main: Guest, client: Client) -> None:
    main.text("echo first > /root/state; echo first > /dev/shm/state")
    made = client.commit("main").commit
    main.text("echo second > /root/state; echo second > /dev/shm/state")
    full(client, spares=4)
    ready = idle_pids(client)
    children = client.fork(made.id, 2, "s").children
    assert all(child.ok for child in children), children
    pids = {branch.pid for branch in client.tree().branches if branch.name != "main"}
    assert pids <= ready
    told = [main.other(child.name).text(DISTINCT).splitlines() for child in children]
    assert all(len(set(values)) == 2 for values in zip(*told, strict=True)), told
    assert [lines[0] for lines in told] == ["s1", "s2"]
    for child in children:
        assert main.other(child.name).text("cat /root/state /dev/shm/state") == "first\nfirst"
        assert client.diff(made.id, child.name).entries == ()
    more = client.fork(made.id, 3, "t").children  # more than there are spares
    assert all(child.ok for child in more), more
    assert {main.other(child.name).text("hostname") for child in more} == {"t1", "t2", "t3"}


def anonymous_bytes(pid: int) -> int:
    """What a process has of its own."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Anonymous:"))


def test_machines_that_wait_own_what_a_child_will_be_given(main: Guest, client: Client) -> None:
    """So a child of the trunk is written fast, and one of any other branch on that base is still what it should be."""
    everything = f"sha256sum /dev/shm/*; find {LOOKED_AT} -xdev -type f | sort | xargs sha256sum | sha256sum"
    client.up(None, "other")
    main.other("other").text("echo other > /dev/shm/kept")
    main.text(f"echo main > /dev/shm/kept; head -c {NOISE_BYTES} /dev/urandom > /dev/shm/noise")
    before = idle_pids(client)
    client.fork("main", 3, "first")
    full(client, spares=4)
    owned = sorted(anonymous_bytes(pid) for pid in idle_pids(client) - before)
    assert sum(one > owned[0] + NOISE_BYTES for one in owned) >= 3, owned
    for name, most in (("other", 2), ("main", 2)):
        ready, same = idle_pids(client), main.other(name).text(everything)
        children = client.fork(name, most, f"{name}-").children
        pids = {branch.pid for branch in client.tree().branches if branch.name.startswith(f"{name}-")}
        assert pids <= ready
        assert [main.other(child.name).text(everything) for child in children] == [same] * most


def test_a_member_that_dies_is_not_handed_out(main: Guest, client: Client) -> None:
    full(client)
    dead = idle_pids(client)
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    children = [*client.fork("main", 2).children, *client.fork(golden(client), 1, "g").children]
    assert all(child.ok for child in children), children
    assert {main.other(child.name).text("hostname") for child in children} == {"b1", "b2", "g"}
    assert eventually(lambda: not dead & machine_pids(client.home))
    assert eventually(lambda: waiting(client).machines == 8)


def test_a_new_daemon_sweeps_and_an_ending_one_takes_them_along(main: Guest, client: Client) -> None:
    full(client)
    before = idle_pids(client)
    os.kill(client.status().pid, signal.SIGKILL)
    ensure_daemon(client.home)
    assert main.text("echo alive") == "alive"
    full(client, spares=2)
    assert not before & machine_pids(client.home)
    client.stop_daemon()
    assert eventually(lambda: len(machine_pids(client.home)) == 1)
    ensure_daemon(client.home)
    assert main.text("echo alive") == "alive"


def test_settings_turn_it_off_and_on(main: Guest, client: Client) -> None:
    def holds(machines: int, spares: bool) -> bool:
        now = waiting(client)
        return now.machines == machines and (now.spares >= 2 if spares else not now.spares)

    for key, off, machines, spares in (
        ("pool.machines", "0", 0, True), ("pool.spares", "0", 8, False), ("pool.floor-mib", str(1 << 20), 0, False),
    ):  # fmt: skip
        assert eventually(lambda: holds(8, True))
        client.change_setting(key, off)
        assert eventually(lambda machines=machines, spares=spares: holds(machines, spares))  # type: ignore[misc]
        assert client.fork("main", 1, key[5:7]).children[0].ok
        assert idle_pids(client) == set() or key != "pool.floor-mib"
        client.change_setting(key, None)
    assert eventually(lambda: holds(8, True))


def test_a_spare_ends_with_its_commit(main: Guest, client: Client) -> None:
    full(client)
    client.fork("main", 1)
    made = client.commit("b1").commit
    client.fork(made.id, 1, "c1")
    full(client, spares=6)  # golden, main's head, and the commit forked last
    plan = client.plan_prune(["b1", "c1"], now=True)
    assert made.id in plan.commits
    client.execute(plan)
    assert not list(client.home.commits.glob(f"{made.id}*"))
    full(client, spares=4)
    assert client.check_store(100.0) == []
    needed = {path.stem for path in client.home.layers.iterdir()}
    assert len(needed) == 1 + 8 + 4  # main's, and one each machine that waits


def golden(client: Client) -> str:
    """The image's golden commit."""
    return client.tree().images[0].golden
