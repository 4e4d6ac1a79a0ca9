"""Many commits of one running branch, and half of them pruned again: what stays is what it was."""

import hashlib
import random
import time

import numpy as np
import pytest

from core.daemon.client import Client
from core.home import Home
from core.store.protocol import DISK, MEMORY
from core.store.reader import PageReader
from tests.conftest import full
from tests.guests import Guest

COMMITS, CHILDREN = (1000, 8) if full() else (12, 2)
DEEPEST_CHAIN = 4
READ_PAGES = 4096
LOOKED_AT = 40 if full() else 4


def contents(home: Home, commit: str) -> tuple[str, ...]:
    """Hashes of all of a commit's memory and disk, read page by page from the store."""
    reader = PageReader(home.root)
    try:
        return tuple(_digest(reader, commit, medium) for medium in (MEMORY, DISK))
    finally:
        reader.close()


def _digest(reader: PageReader, commit: str, medium: str) -> str:
    """Over the places and contents of all pages that are not zero."""
    table = reader.table(commit, medium)
    places = np.flatnonzero(table)
    hasher = hashlib.sha256(places.tobytes())
    for at in range(0, len(places), READ_PAGES):
        part = places[at : at + READ_PAGES]
        hasher.update(reader.pages(commit, medium, part, table[part]).tobytes())
    return hasher.hexdigest()


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
    looked_at = dice.sample(kept, min(len(kept), LOOKED_AT))
    before = {commit: contents(home, commit) for commit in looked_at}
    parents = {commit.id: commit.parents for commit in client.tree().commits}
    client.execute(client.plan_prune(sorted(pruned), now=True))
    freed = client.gc()
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
    assert {commit: contents(home, commit) for commit in looked_at} == before
    assert client.check_store(100) == []
    assert client.gc() == 0
    [child] = client.fork(dice.choice(kept[1:]), 1, "old").children
    assert child.ok and main.other(child.name).text("hostname") == child.name
