"""The store's verbs against real machines: commits between homes, a catalog made again, sizes, settings."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.daemon.client import Client
from core.daemon.start import end_all, ensure_daemon
from core.errors import Conflict, Damaged, NotFound, UsageError, VertuiError
from core.home import Home, find_home
from core.model import BranchState, Origin
from tests.conftest import full, keep_nothing_waiting
from tests.guests import Guest, eventually
from tests.machine.test_cli import succeeded, vertui

GC_ROUNDS = 10 if full() else 2


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Client]:
    """Another home, with nothing in it."""
    home = find_home(str(tmp_path / "elsewhere"))
    ensure_daemon(home)
    yield Client(home)
    end_all(home)


def files_of(home: Home) -> set[str]:
    """Every commit and layer there is."""
    return {path.name for top in (home.commits, home.layers) for path in top.iterdir()}


def test_a_commit_goes_to_another_home(main: Guest, elsewhere: Client, tmp_path: Path) -> None:
    main.text("echo carried > /root/carried; sync")
    commit = main.client.commit("main", "to carry").commit
    file = tmp_path / "commit.vertui"
    assert f"main is in {file}" in succeeded("export", "main", str(file))
    refused = vertui("export", "main", str(file))
    assert refused.returncode == 5 and refused.stderr.count("\n") == 1
    assert vertui("export", "nobody", str(tmp_path / "none")).returncode == 4
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"commit.vertui"}

    data = file.read_bytes()
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 1
    for wrong in (bytes(damaged), data[:-1], b"", b"no commit" * 1000):
        with pytest.raises(Damaged, match=r"no (whole )?exported commit|not what was written"):
            elsewhere.import_commit([wrong])
    assert elsewhere.tree().commits == ()

    done = elsewhere.import_commit([data[:1000], data[1000:]])
    assert done.added and done.commit.origin is Origin.FOREIGN
    assert (done.commit.id, done.commit.message, done.commit.branch) == (commit.id, "to carry", "main")
    assert done.commit.created == pytest.approx(commit.created, abs=5)
    assert elsewhere.check_store(100) == []
    assert not elsewhere.import_commit([data]).added
    with pytest.raises(Conflict, match=r"imported.*--trust"):
        elsewhere.fork(commit.id, 1)
    assert elsewhere.tree().branches == ()
    with pytest.raises(NotFound, match="image"):
        elsewhere.fork(
            commit.id, 1, trust=True
        )  # it may start now, and this home has nothing to start it with
    assert elsewhere.tree().commits[0].origin is Origin.TRUSTED
    assert b"".join(elsewhere.export(commit.id))
    elsewhere.undo()
    assert elsewhere.tree().commits == ()
    assert elsewhere.import_commit([data]).commit.origin is Origin.FOREIGN  # trust ends with what was trusted
    assert [row.id for row in elsewhere.tree().commits] == [commit.id]
    assert [path.name for path in (elsewhere.home.root / "store").iterdir() if path.is_file()] == ["index"]


def test_an_import_broken_off_leaves_nothing(main: Guest, elsewhere: Client) -> None:
    commit = main.client.commit("main").commit.id
    pieces = main.client.export(commit)

    def broken() -> Iterator[bytes]:
        yield next(pieces)
        raise OSError("the disk it is on went away")

    with pytest.raises(VertuiError):
        elsewhere.import_commit(broken())
    pieces.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 10
    while not (error := elsewhere.log()[0].error) and time.monotonic() < deadline:
        time.sleep(0.05)  # the daemon learns of it from the line's end
    assert error
    assert elsewhere.tree().commits == ()


def test_a_lost_catalog_is_made_again(home: Home, main: Guest) -> None:
    client = main.client
    main.text("echo kept > /root/kept; sync")
    first = client.commit("main", "first").commit
    client.fork("main", 1, "b1")
    main.other("b1").text("echo b > /root/of-b; sync")
    of_b = client.commit("b1", "of b").commit
    before = client.tree()
    there = files_of(home)
    end_all(home)
    for path in home.root.glob("catalog.db*"):
        path.unlink()
    ensure_daemon(home)
    after = client.tree()
    assert files_of(home) >= {name for name in there if name.endswith(".commit")}
    assert client.check_store() == []
    assert {c.id: (c.parents, c.message, c.branch, c.quiesced) for c in after.commits} == {
        c.id: (c.parents, c.message, c.branch, c.quiesced) for c in before.commits
    }
    assert [(i.id, i.name, i.spec, i.golden) for i in after.images] == [
        (i.id, i.name, i.spec, i.golden) for i in before.images
    ]
    found = {branch.name: branch for branch in after.branches}
    heads = {branch.name: branch.head for branch in before.branches}
    assert {name: branch.head for name, branch in found.items()} == heads
    assert all(branch.state is BranchState.STOPPED for branch in found.values())
    assert (found["b1"].parent, found["b1"].parent_branch) == (heads["main"], "main")
    client.store_gc()
    client.resume("b1")
    assert main.other("b1").text("cat /root/kept /root/of-b") == "kept\nb"
    forked = client.fork(first.id, 1, "again1")
    assert forked.children[0].ok and main.other("again1").text("cat /root/kept") == "kept"
    assert of_b.id in {commit.id for commit in client.tree().commits}


def test_rows_that_are_missing_come_back(home: Home, main: Guest) -> None:
    commit = main.client.commit("main", "kept").commit.id
    told = succeeded("store", "check", "--rebuild")
    assert "0 commits were found again" in told and "everything is as it was written" in told
    assert main.client.tree().trunk == "main"
    assert commit in {row.id for row in main.client.tree().commits}


def test_sizes_settings_and_a_dry_run(main: Guest) -> None:
    client = main.client
    assert succeeded("store", "gc", "--dry-run") == "  there is nothing to free\n"
    client.store_gc()  # packs newer than the index are merged into it
    files, empty = files_of(client.home), client.store_space()
    main.text("head -c 4000000 /dev/urandom > /root/noise; sync")
    client.commit("main")
    space = client.store_space()
    taken = {branch.branch: branch for branch in space.branches}["main"]
    assert taken.commits == 2 and taken.unique_bytes > 4_000_000
    assert taken.stored_bytes == taken.shared_bytes + taken.unique_bytes
    assert "BRANCH" in succeeded("store", "du")
    assert succeeded("config", "store.level") == f"{client.settings()[0].default}\n"
    succeeded("config", "store.level", "9")
    assert succeeded("config", "store.level") == "9\n"
    succeeded("config", "store.level", "--unset")
    others = [one for one in client.settings() if one.key != "policy.default"]  # tests' homes have another
    assert [one.value for one in others] == [one.default for one in others]
    with pytest.raises(UsageError):
        client.change_setting("store.level", "loud")
    assert vertui("config", "store.colour").returncode == 4
    client.execute(client.plan_prune(["main"], now=True))
    client.store_gc()
    assert client.check_store(100) == []
    after = client.store_space()
    assert (after.packs_bytes, after.records_bytes) == (empty.packs_bytes, empty.records_bytes)
    assert after.index_bytes <= empty.index_bytes
    keep_nothing_waiting(client)
    left = {name for name in files if name.endswith(".commit")}
    assert eventually(lambda: files_of(client.home) == left), files_of(client.home)


def test_an_imported_commit_starts_once_it_is_trusted(main: Guest, home: Home, tmp_path: Path) -> None:
    """In another home that has the image: with what was in its memory and on its disk, and as a machine of its own."""
    main.text("echo carried > /root/carried; echo carried > /dev/shm/carried")
    main.start("exec sleep 12345")
    data = list(main.client.export(main.client.commit("main", "to carry").commit.id))
    commit = main.client.tree().branches[0].head
    other = find_home(str(tmp_path / "other"))
    end_all(home)
    shutil.copytree(home.root, other.root, ignore=shutil.ignore_patterns("log", "lock", "views"))
    ensure_daemon(other)
    there = Client(other)
    try:
        there.execute(there.plan_prune(["main"], now=True))
        there.store_gc()
        assert commit not in {row.id for row in there.tree().commits}
        assert there.import_commit(data).commit.origin is Origin.FOREIGN
        with pytest.raises(Conflict, match=r"imported.*--trust"):
            there.fork(commit, 1, "in1")
        [child] = there.fork(commit, 1, "in1", trust=True).children
        assert child.ok, child.reason
        guest = Guest(there, "in1")
        assert guest.text("cat /root/carried /dev/shm/carried; hostname; pgrep -x sleep | wc -l") == (
            "carried\ncarried\nin1\n1"
        )
    finally:
        end_all(other)


def test_forks_beside_gc(main: Guest) -> None:
    """Commits made, forked and pruned for good while gc runs again and again: none misses a page."""
    client, stopped = main.client, threading.Event()
    failures: list[VertuiError] = []

    def collect() -> None:
        while not stopped.is_set():
            try:
                client.store_gc()
            except VertuiError as error:
                failures.append(error)

    worker = threading.Thread(target=collect)
    worker.start()
    try:
        for step in range(GC_ROUNDS):
            main.text(
                f"head -c 3000000 /dev/urandom > /dev/shm/noise; sha256sum /dev/shm/noise > /root/{step}"
            )
            commit = client.commit("main", wait=step % 2 == 0).commit.id
            for ref in (commit, "main"):
                [child] = client.fork(ref, 1, "g1").children
                assert child.ok, child.reason
                assert main.other("g1").text(f"sha256sum -c /root/{step}") == "/dev/shm/noise: OK"
                client.execute(client.plan_prune(["g1"], now=True))
    finally:
        stopped.set()
        worker.join()
    assert failures == []
    assert client.check_store(100) == []
