"""A running branch's disk is read while commits are made, sealed and collected: none misses what it began to read."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from core.daemon.client import Client
from tests.conftest import full
from tests.guests import Guest

READS = 200 if full() else 12
READERS, COLLECTORS = 3, 3


def test_reads_beside_commits_and_gc(main: Guest, client: Client) -> None:
    began = client.commit("main", "first").commit.id
    main.text("echo 0 > /root/counted; sync")
    done = threading.Event()

    def until_done(work: Callable[[int], object]) -> None:
        count = 0
        while not done.is_set():
            work(count := count + 1)

    def committed(count: int) -> None:
        main.text(f"echo {count} > /root/counted; sync")
        client.commit("main", f"number {count}", wait=count % 2 == 0)

    def read(number: int) -> None:
        if number % 2:
            assert "/root/counted" in [entry.path for entry in client.diff(began, "main").entries]
        else:
            assert b"/root/counted" in client.patch(began, "main")

    with ThreadPoolExecutor(1 + COLLECTORS) as others, ThreadPoolExecutor(READERS) as readers:
        work = [others.submit(until_done, committed)]
        work += [others.submit(until_done, lambda _: client.store_gc()) for _ in range(COLLECTORS)]
        try:
            list(readers.map(read, range(READS)))
        finally:
            done.set()
        for each in work:
            each.result()
    assert client.check_store(100) == []
