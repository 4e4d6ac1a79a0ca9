"""The daemon killed at random instants while it commits: what it acknowledged is there, whole."""

import os
import random
import signal
import threading
import time

import pytest

from core.daemon.client import Client
from core.daemon.start import ensure_daemon
from core.errors import VertuiError
from core.home import Home
from core.store.reader import PageReader
from core.store.values import DISK, MEMORY
from tests.conftest import full
from tests.guests import Guest

ROUNDS = 200 if full() else 8
LONGEST_S = (
    0.8  # from a round's first commit to the kill: some two commits, each captured, hashed, packed, written
)


def commit_until(killed: threading.Event, client: Client, acknowledged: list[str]) -> None:
    """Commit again and again, half of them without waiting; the ids of those said to be sealed.

    A kill between two requests is not noticed: the next one is answered by the successor.
    """
    number = 0
    while not killed.is_set():
        number += 1
        try:
            done = client.commit("main", f"{number}", wait=number % 2 == 0)
        except VertuiError:
            return
        if done.to_sealed_ms is not None:
            acknowledged.append(done.commit.id)


@pytest.mark.usefixtures("nothing_waits")
def test_kill_at_random_instants(main: Guest, home: Home) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice, client = random.Random(seed), main.client
    machine = client.tree().branches[0].pid
    main.start("while :; do date > /root/now; head -c 20000 /dev/urandom > /dev/shm/noise; sleep 0.05; done")
    acknowledged: list[str] = []
    rounds = 0
    while rounds < ROUNDS or len(acknowledged) < ROUNDS // 4:
        rounds += 1
        assert rounds < 4 * ROUNDS
        killed = threading.Event()
        worker = threading.Thread(target=commit_until, args=(killed, client, acknowledged))
        worker.start()
        time.sleep(dice.uniform(0, LONGEST_S))
        os.kill(client.status().pid, signal.SIGKILL)
        killed.set()
        worker.join()
        ensure_daemon(home)
        known = {commit.id: commit.state for commit in client.tree().commits}
        assert all(known.get(commit) == "sealed" for commit in acknowledged)
        assert "gone" not in known.values(), "a hot commit outlives the daemon"
        assert [branch.pid for branch in client.tree().branches] == [machine]
    while any(commit.state == "hot" for commit in client.tree().commits):
        time.sleep(0.1)
    assert client.check_store(100) == []
    read_whole(home, acknowledged)
    assert main.text("echo alive") == "alive"


def read_whole(home: Home, commits: list[str]) -> None:
    """Every table and device state reads; that each page does was checked."""
    reader = PageReader(home.root)
    try:
        for commit in commits:
            assert reader.record(commit).devices()
            assert reader.table(commit, MEMORY).any() and reader.table(commit, DISK).any()
    finally:
        reader.close()
