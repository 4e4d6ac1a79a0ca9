"""Hot commits: true before they are durable, forkable at once, sealed parents first, and gone only with the host."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.daemon.start import ensure_daemon
from core.errors import VertuiError
from core.model import Commit
from tests.conftest import keep_nothing_waiting
from tests.guests import Guest, one_layer_each

SEALED_S = 30.0  # a refused seal is tried again after five


@pytest.fixture
def unsealed(client: Client, fault: Path) -> Iterator[Path]:
    """A branch `main`, and a file that keeps every commit from being sealed while it says so."""
    keep_nothing_waiting(client)
    client.up(None, "main")
    fault.write_text("seal.begun=fail")
    yield fault
    fault.unlink(missing_ok=True)


@pytest.fixture
def guest(unsealed: Path, client: Client) -> Guest:
    assert unsealed.exists()
    return Guest(client, "main")


def commits(client: Client) -> dict[str, Commit]:
    return {commit.id: commit for commit in client.tree().commits}


def all_sealed(client: Client) -> None:
    deadline = time.monotonic() + SEALED_S
    while any(commit.state != "sealed" for commit in client.tree().commits):
        assert time.monotonic() < deadline, "a commit stays hot"
        time.sleep(0.1)


def test_a_hot_commit_forks_and_outlives_the_daemon(unsealed: Path, guest: Guest) -> None:
    client = guest.client
    guest.text("echo first > /root/file; echo first > /dev/shm/file")
    first = client.commit("main", "first", wait=False)
    assert (first.commit.state, first.to_sealed_ms) == ("hot", None)
    guest.text("echo second > /root/file")
    [child] = client.fork(first.commit.id, 1, "early1").children
    assert child.ok, child.reason
    assert guest.other("early1").text("cat /root/file /dev/shm/file") == "first\nfirst"
    forked = client.fork("main", 1, "late1")
    assert guest.other("late1").text("cat /root/file") == "second"
    os.kill(client.status().pid, signal.SIGKILL)
    ensure_daemon(client.home)
    assert {commits(client)[made].state for made in (first.commit.id, forked.commit.id)} == {"hot"}
    [again] = client.fork(first.commit.id, 1, "again1").children
    assert again.ok, again.reason
    assert guest.other("again1").text("cat /root/file; hostname") == "first\nagain1"
    unsealed.unlink()
    all_sealed(client)
    assert client.check_store(100) == []
    assert guest.other("early1").text("cat /root/file") == "first"
    assert [commit.parents for commit in client.tree().commits if commit.id == forked.commit.id] == [
        (first.commit.id,)
    ]


def test_an_eager_fork_of_a_hot_commit_waits_for_its_seal(unsealed: Path, guest: Guest) -> None:
    client = guest.client
    guest.text("echo hot > /dev/shm/file")
    made = client.commit("main", "hot", wait=False).commit.id
    guest.text("echo later > /dev/shm/file")
    forking = threading.Thread(target=client.fork, args=(made, 1, "eager"), kwargs={"eager": True})
    forking.start()
    time.sleep(1)
    assert commits(client)[made].state == "hot"
    assert [branch.name for branch in client.tree().branches] == ["main"]
    unsealed.unlink()
    forking.join(SEALED_S)
    assert commits(client)[made].state == "sealed"
    assert guest.other("eager").text("cat /dev/shm/file; hostname") == "hot\neager"


def test_parents_are_sealed_before_children(unsealed: Path, guest: Guest) -> None:
    client = guest.client
    made = [client.commit("main", "parent", wait=False).commit.id]
    client.fork("main", 1)
    made.append(client.commit("b1", "child", wait=False).commit.id)
    unsealed.unlink()
    while any(commits(client)[one].state != "sealed" for one in made):
        for commit in commits(client).values():
            if commit.state == "sealed":
                now = commits(client)
                assert all(now[parent].state == "sealed" for parent in commit.parents)


def test_a_commit_that_cannot_be_sealed_is_taken_back(unsealed: Path, guest: Guest) -> None:
    client = guest.client
    before = client.tree()
    with pytest.raises(VertuiError, match="stopped at seal"):
        client.commit("main", "never")
    after = client.tree()
    assert (after.commits, after.branches[0].head) == (before.commits, before.branches[0].head)
    assert [line.state for line in client.log(10) if line.verb == "commit"] == ["failed"]
    unsealed.unlink()
    assert client.commit("main", "then").commit.state == "sealed"
    assert guest.text("echo alive") == "alive"


def test_chains_stay_short_while_nothing_can_be_sealed(unsealed: Path, guest: Guest) -> None:
    """A capture that would make a fifth layer waits for the sealer, and says why it can not."""
    client = guest.client
    for number in range(3):
        client.commit("main", str(number), wait=False)
    with pytest.raises(VertuiError, match="stopped at seal"):
        client.commit("main", "too many", wait=False)
    unsealed.unlink()
    assert client.commit("main", "enough").commit.state == "sealed"
    all_sealed(client)
    assert one_layer_each(client) == 1


def test_hot_commits_end_with_the_host(unsealed: Path, guest: Guest) -> None:
    client = guest.client
    lost = client.commit("main", "lost", wait=False).commit
    status = client.status()
    for pid in (
        *(branch.pid for branch in client.tree().branches if branch.pid),
        status.pid,
        status.holder_pid,
    ):
        os.kill(pid, signal.SIGKILL)
    unsealed.unlink()
    ensure_daemon(client.home)
    assert commits(client)[lost.id].state == "gone"
    with pytest.raises(VertuiError, match="in memory when the host died"):
        client.fork(lost.id, 1, "x1")
    golden = next(commit for commit in client.tree().commits if commit.state == "sealed")
    client.restore("main", golden.id)
    assert guest.text("echo back") == "back"


def test_prune_of_hot_commits_leaves_nothing(unsealed: Path, guest: Guest) -> None:
    """A branch with its hot commit, and one in the middle of hot ones: the others are sealed all the same."""
    client = guest.client
    middle = client.commit("main", "middle", wait=False).commit
    head = client.commit("main", "head", wait=False).commit
    client.fork(middle.id, 1, "x1")
    gone = client.commit("x1", "of x1", wait=False).commit
    client.execute(client.plan_prune(["x1"], now=True))
    client.execute(client.plan_prune([middle.id], now=True))
    assert not {middle.id, gone.id} & set(commits(client))
    unsealed.unlink()
    all_sealed(client)
    client.store_gc()
    assert client.check_store(100) == []
    [child] = client.fork(head.id, 1, "y1").children
    assert child.ok, child.reason
