"""Many commits of one running branch, and half of them pruned again: what stays is what it was."""

import hashlib
import random
import time

import numpy as np
import pytest

from core.daemon.client import Client
from core.home import Home
from core.store.reader import PageReader
from core.store.values import DISK, MEMORY
from tests.conftest import full
from tests.guests import Guest

COMMITS, CHILDREN = (1000, 8) if full() else (12, 2)
DEEPEST_CHAIN = 4


def identities(home: Home, commits: list[str]) -> dict[str, tuple[str, ...]]:
    """Per commit, hashes of its devices, and of the places and hashes of all of its pages that are not zero."""
    reader = PageReader(home.root)
    try:
        return {
            commit: (
                hashlib.sha256(reader.record(commit).devices()).hexdigest(),
                *(_identity(reader, commit, medium) for medium in (MEMORY, DISK)),
            )
            for commit in commits
        }
    finally:
        reader.close()


def _identity(reader: PageReader, commit: str, medium: str) -> str:
    table = reader.table(commit, medium)
    places = np.flatnonzero(table)
    hashes, known = reader.index.hashes(table[places])
    assert known.all()
    return hashlib.sha256(places.tobytes() + hashes.tobytes()).hexdigest()


@pytest.mark.usefixtures("nothing_waits")
def test_many_commits_in_a_row(main: Guest, client: Client, home: Home) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    golden = client.tree().images[0].golden
    made, took = [], []
    main.start("while :; do date > /root/now; head -c 100000 /dev/urandom > /dev/shm/noise; sleep 0.05; done")
    for step in range(COMMITS):
        main.text(f"echo {step} > /root/step") if step % 50 == 0 else time.sleep(0.05)
        began = time.monotonic()
        done = client.commit("main", f"commit {step}").commit
        took.append((time.monotonic() - began, done.pause_ms))
        made.append(done.id)
        assert len(list(home.layers.iterdir())) <= DEEPEST_CHAIN
    forked = client.fork("main", CHILDREN)
    print(
        f"first and last commits: {took[:3]} {took[-3:]}; fork: {[child.run_ms for child in forked.children]}"
    )
    assert all(child.ok for child in forked.children)
    assert len(list(home.layers.iterdir())) <= DEEPEST_CHAIN + CHILDREN
    client.execute(client.plan_prune([child.name for child in forked.children], now=True))
    pruned = set(dice.sample(made[:-1], COMMITS // 2))
    kept = [commit for commit in made if commit not in pruned]
    before = identities(home, kept)
    parents = {commit.id: commit.parents for commit in client.tree().commits}
    client.execute(client.plan_prune(sorted(pruned), now=True))
    freed = client.store_gc()
    print(f"gc freed {freed} bytes")
    after = {commit.id: commit for commit in client.tree().commits}
    assert not pruned & after.keys() and set(kept) <= after.keys()
    for commit in kept:
        ancestor = parents[commit][0]
        while ancestor in pruned:
            ancestor = parents[ancestor][0]
        assert ancestor in after or ancestor == golden
        [shown] = after[commit].parents
        assert shown == ancestor, (shown in pruned, shown == parents[commit][0])
    assert identities(home, kept) == before
    assert client.check_store(100) == [], "a page is not what its hash says"
    assert client.store_gc() == 0
    [child] = client.fork(dice.choice(kept[1:]), 1, "old").children
    assert child.ok and main.other(child.name).text("hostname") == child.name
