"""All that only looks, beside all that changes: whoever asks is answered, however long it goes on."""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from core.daemon import streams
from core.daemon.client import Client
from core.errors import Conflict, DaemonUnavailable, VertuiError
from core.home import Home
from core.model import ExecRequest
from tests.conftest import full
from tests.guests import Guest

LASTS_S = 300.0 if full() else 8.0
STANDS_STILL_S = 120.0  # no answer to anybody for so long, on a host with other work to do, is a deadlock
SCRATCH = "scratch"  # what is forked and pruned all the time

Call = Callable[[], object]


class Crowd:
    """Threads that each do one of the calls after the other until the time is up, and what became of them."""

    def __init__(self, seed: int) -> None:
        self.answers: Counter[str] = Counter()
        self.mistakes: list[str] = []
        self._seed = seed
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def add(self, name: str, calls: Sequence[Call], threads: int = 1) -> None:
        """Let some threads do these calls, each in an order of its own."""
        for number in range(threads):
            dice = random.Random(f"{self._seed} {name} {number}")
            self._threads.append(threading.Thread(target=self._work, args=(name, calls, dice), daemon=True))

    def run(self) -> None:
        """Start all and wait for their end; AssertionError when nobody is answered any more."""
        for thread in self._threads:
            thread.start()
        end = time.monotonic() + LASTS_S
        moved, known = time.monotonic(), 0
        while any(thread.is_alive() for thread in self._threads):
            if time.monotonic() > end:
                self._over.set()
            if (answers := self.answers.total()) != known:
                moved, known = time.monotonic(), answers
            assert time.monotonic() - moved < STANDS_STILL_S, f"nobody is answered after {dict(self.answers)}"
            time.sleep(0.05)

    def _work(self, name: str, calls: Sequence[Call], dice: random.Random) -> None:
        while not self._over.is_set():
            try:
                dice.choice(calls)()
                self.answers[name] += 1
            except DaemonUnavailable as error:
                self.mistakes.append(f"{name}: {error}")
            except VertuiError:
                self.answers[f"{name} refused"] += 1  # as one that changes what another names may be
            except Exception as error:
                self.mistakes.append(f"{name}: {error!r}")


def reads(client: Client, golden: str) -> list[Call]:
    """Every way to look."""

    def watched() -> None:
        events = client.events()
        events.close()
        list(events)

    return [
        client.tree, client.log, client.trash, client.settings, client.status, client.doctor, client.store_space,
        client.plan_store_gc, client.check_store, watched,
        lambda: client.ps("main"), lambda: client.processes("main"), lambda: client.console_text("main"),
        lambda: client.diff(golden, "main"), lambda: client.diff("main~1", golden, lines=True, packages=True),
        lambda: client.diff_siblings([golden, "main"]), lambda: client.patch(golden, "main"),
        lambda: b"".join(client.files("main", "/etc")), lambda: sum(map(len, client.export("main"))),
        lambda: client.plan_prune([SCRATCH]), lambda: client.plan_promote("main"),
    ]  # fmt: skip


def writes(client: Client, home: Home) -> list[Call]:
    """Every way to change something that another may go on with."""

    def forked() -> None:
        client.fork("main", 1, f"{SCRATCH}1")
        client.execute(client.plan_prune([f"{SCRATCH}1"], now=True))

    def ran() -> None:
        with streams.run(home, ExecRequest("main", ("sh", "-c", "date >> /root/log"))) as stream:
            for _ in stream:
                pass

    def awake(change: Callable[..., object], *given: str) -> None:
        """Whatever it stops runs on afterwards: undo takes back a resume, too, and who waits in the guest waits on."""
        try:
            change(*given)
        finally:
            with suppress(Conflict):
                client.resume("main")

    return [
        lambda: client.score("main", 1.0, "seen"), lambda: client.rename("main", "main"), ran, forked,
        lambda: client.tag("main", "mark"), lambda: client.change_setting("pool.spares", "1"),
        lambda: client.commit("main", "", wait=False), lambda: client.commit("main"), client.store_gc,
        client.store_compact,
        lambda: awake(client.pause, "main"), lambda: awake(client.undo), lambda: awake(client.redo),
        lambda: client.apply("main", "main"), lambda: client.hand_over("main"),
    ]  # fmt: skip


def test_diffs_beside_scores(main: Guest, client: Client) -> None:
    """What once made the daemon stand still within seconds."""
    [image] = client.tree().images
    commit = client.commit("main").commit.id
    crowd = Crowd(0)
    crowd.add("diff", [lambda: client.diff(commit, image.golden)], threads=3)
    crowd.add("score", [lambda: client.score("main", 1.0)], threads=3)
    crowd.run()
    assert not crowd.mistakes, crowd.mistakes[:5]
    assert crowd.answers["diff"] and crowd.answers["score"]


def test_all_reads_beside_all_writes(main: Guest, client: Client, home: Home) -> None:
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print("seed", seed)
    [image] = client.tree().images
    daemon = client.status().pid
    client.commit("main")
    crowd = Crowd(seed)
    crowd.add("read", reads(client, image.golden), threads=4)
    crowd.add("write", writes(client, home), threads=3)
    crowd.run()
    print(dict(crowd.answers))
    assert not crowd.mistakes, crowd.mistakes[:5]
    assert client.status().pid == daemon, "the daemon was replaced"
    assert client.check_store(100) == []
