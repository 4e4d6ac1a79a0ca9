"""Commits: data that a machine comes back from, whatever happened to the processes."""

import os
import signal

import psutil

from core.daemon.client import Client
from core.daemon.start import end_all, ensure_daemon
from tests.guests import Guest


def written_bytes(client: Client) -> int:
    """What the daemon caused to be written to disk so far."""
    return psutil.Process(client.status().pid).io_counters().write_bytes


def test_commit_of_a_thousand_changed_pages_is_small(main: Guest, client: Client) -> None:
    main.text("head -c 4096000 /dev/urandom > /dev/shm/thousand-pages")
    before = written_bytes(client)
    made = client.commit("main", "small")
    assert made.commit.changed_pages >= 1000
    assert made.commit.stored_bytes < 20_000_000
    assert written_bytes(client) - before < 20_000_000
    assert made.commit.quiesced
    assert made.commit.id != made.commit.state_id


def test_fork_of_a_middle_commit_after_everything_was_killed(main: Guest, client: Client) -> None:
    main.start("while true; do sleep 1; done; echo marker-of-middle")
    main.text("echo middle > /root/file")
    middle = client.commit("main", "middle").commit
    main.text("echo last > /root/file")
    client.commit("main", "last")
    holder = client.status().holder_pid
    for branch in client.tree().branches:
        if branch.pid:
            os.kill(branch.pid, signal.SIGKILL)
    os.kill(client.status().pid, signal.SIGKILL)
    os.kill(holder, signal.SIGKILL)
    ensure_daemon(client.home)
    assert {branch.name: branch.state for branch in client.tree().branches} == {"main": "lost"}
    child = client.fork(middle.id[:12], 1, "again1").children[0]
    assert child.ok, child.reason
    guest = main.other("again1")
    assert guest.text("cat /root/file") == "middle"
    assert "marker-of-middle" in guest.text("ps ax")
    client.resume("main")
    assert main.text("cat /root/file") == "last"


def test_stop_all_keeps_everything(main: Guest, client: Client) -> None:
    main.count()
    main.text("echo kept > /root/kept")
    before = main.counted()
    client.suspend_all()
    assert end_all(client.home)
    ensure_daemon(client.home)
    assert client.tree().branches[0].state == "suspended"
    client.resume("main")
    after = main.counted()
    assert after >= before
    main.counts_beyond(after)
    assert main.text("cat /root/kept") == "kept"


def test_paused_branch_commits_without_its_agent_and_goes_on(main: Guest, client: Client) -> None:
    main.text("echo one > /root/file")
    client.pause("main")
    paused = client.commit("main", "paused").commit
    assert paused.quiesced
    child = client.fork("main", 1).children[0]
    assert child.ok, child.reason
    assert main.other("b1").text("cat /root/file") == "one"
    client.resume("main")
    assert main.text("cat /root/file") == "one"


def test_the_same_state_again_is_the_same_commit(main: Guest, client: Client) -> None:
    client.pause("main")
    first, second = client.commit("main").commit, client.commit("main").commit
    assert first.id == second.id
    assert len(client.tree().commits) == 2
    client.resume("main")
    assert client.commit("main").commit.id != first.id
