"""A host's disk that fills up at any point: nothing is lost or ends, no guest sees an error, and all goes on."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.daemon.start import end_all, ensure_daemon
from core.errors import NoRoom, VertuiError
from core.home import Home
from core.model import Branch, BranchState
from tests.conftest import full
from tests.guests import Guest, eventually

SIZE, ROOMY = "640m", "1600m"  # an image takes 300 MiB, what it is built of as much
MOST_LEFT_BYTES = 6 << 20  # a commit of this test takes less


@pytest.fixture
def small(idle_home: Home, tmp_path: Path) -> Iterator[Client]:
    """A home on a filesystem of its own, with a running branch `main`."""
    with on_its_own(idle_home, tmp_path / "copy", SIZE) as client:
        client.up(None, "main")
        yield client


@pytest.fixture
def roomy(idle_home: Home, built: Home, tmp_path: Path) -> Iterator[Client]:
    """Such a home in which an image can be built."""
    shutil.rmtree(idle_home.cache)
    shutil.copytree(built.cache, idle_home.cache)
    with on_its_own(idle_home, tmp_path / "copy", ROOMY) as client:
        yield client


@contextlib.contextmanager
def on_its_own(idle_home: Home, copy: Path, size: str) -> Iterator[Client]:
    """A home moved to a filesystem of that size, and its daemon started."""
    root = idle_home.root
    root.rename(copy)
    root.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", root], check=True)
    try:
        subprocess.run(["cp", "-a", "--sparse=always", f"{copy}/.", root], check=True)
        ensure_daemon(idle_home)
        yield Client(idle_home)
    finally:
        end_all(idle_home)
        subprocess.run(["umount", "-l", root], check=True)


def fill(client: Client, left_bytes: int = 0) -> None:
    """Take every byte there is, but so many."""
    filler = client.home.root / "filler"
    spared = client.home.root / "spared"
    with spared.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, left_bytes or 1)
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x")
    spared.unlink()


def free(client: Client) -> None:
    (client.home.root / "filler").unlink()


def branch(client: Client, name: str = "main") -> Branch:
    return next(one for one in client.tree().branches if one.name == name)


def stalled(client: Client) -> bool:
    shown = branch(client)
    return shown.state is BranchState.PAUSED and shown.reason.startswith("disk full")


def whole(client: Client) -> None:
    """The store is, and no guest saw an error."""
    assert client.check_store(100) == []
    for one in client.tree().branches:
        if one.state is BranchState.RUNNING:
            seen = Guest(client, one.name).text("dmesg | grep -ci 'i/o error' || true")
            assert seen == "0", f"{one.name} saw {seen} errors"


def test_a_guest_that_fills_the_disk(small: Client) -> None:
    main, client = Guest(small, "main"), small
    client.fork("main", 1)
    pid = branch(client).pid
    fill(client)
    writing = main.start("head -c 40M /dev/urandom | tee /root/big | sha256sum > /root/sum; sync; echo done")
    assert eventually(lambda: stalled(client)), branch(client)
    assert "needed" in branch(client).reason and "free on" in branch(client).reason
    with pytest.raises(NoRoom, match=r"MiB free on .*MiB needed"):
        client.resume("main")
    with pytest.raises(NoRoom):
        client.commit("main")
    os.kill(client.status().pid, signal.SIGKILL)
    ensure_daemon(client.home)
    assert stalled(client) and branch(client).pid == pid
    client.store_gc()
    client.execute(client.plan_prune(["b1"], now=True))
    client.execute(client.plan_trash_empty())
    assert stalled(client) and branch(client).pid == pid
    free(client)
    assert eventually(lambda: branch(client).state is BranchState.RUNNING), branch(client)
    assert main.attach(writing).stdout == b"done\n"
    assert main.text("sha256sum < /root/big") == main.text("cat /root/sum")
    client.commit("main", "after")
    whole(client)


def acts(client: Client) -> dict[str, Callable[[int], object]]:
    """What may meet a full disk, made to write something new each time."""
    main = Guest(client, "main")

    def changed(number: int) -> None:
        main.text(f"head -c 2M /dev/urandom > /dev/shm/{number % 4}")

    def committed(number: int) -> None:
        changed(number)
        client.commit("main", str(number))

    def forked(number: int) -> None:
        changed(number)
        made = client.fork("main", 2, prefix=f"f{number}x")
        for child in made.children:
            if not child.ok:
                raise VertuiError(child.reason)

    def hot(number: int) -> None:
        changed(number)
        client.commit("main", f"hot {number}", wait=False)

    return {
        "commit": committed,
        "fork": forked,
        "seal": hot,
        "write": lambda number: main.text(f"head -c 3M /dev/urandom > /root/{number}; sync"),
        "gc": lambda _: client.store_gc(),
        "compact": lambda _: client.store_compact(),
        "score": lambda number: client.score("main", float(number), "x" * 5000),
        "up": lambda number: client.up(None, f"u{number}x"),
    }


def test_every_verb_on_a_full_disk(small: Client) -> None:
    """It may be refused, in one line; once there is room it works, and nothing else noticed."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    points = acts(small)
    chosen = list(points) * 3 if full() else dice.sample(list(points), 3)
    for number, name in enumerate(chosen):
        fill(small, dice.choice([0, dice.randrange(MOST_LEFT_BYTES)]))
        with ThreadPoolExecutor(1) as thread:
            trying = thread.submit(points[name], number)
            eventually(lambda trying=trying: trying.done() or stalled(small))  # type: ignore[misc]
            free(small)
            try:
                trying.result()
            except VertuiError as error:
                print(name, error)
        assert eventually(lambda: branch(small).state is BranchState.RUNNING), (name, branch(small))
        points[name](number + 100)
        for one in small.tree().branches:
            if one.name != "main":
                small.execute(small.plan_prune([one.name], now=True))
    whole(small)


@pytest.mark.skipif(not full(), reason="builds an image twice")
@pytest.mark.parametrize("left_mib", [1, 60, 290])
def test_an_image_built_on_a_full_disk(roomy: Client, left_mib: int) -> None:
    before = {path.name for path in roomy.home.images.iterdir()}
    fill(roomy, left_mib << 20)
    with pytest.raises(NoRoom):
        roomy.image_build("other")
    assert {path.name for path in roomy.home.images.iterdir()} == before
    free(roomy)
    roomy.image_build("other")
    roomy.up("other", "main")
    whole(roomy)
