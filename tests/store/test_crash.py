"""A crash at any instant: commits with a row are whole, others are absent, and nothing is called damaged."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from core.catalog import Catalog
from core.store.packs import PackStore
from tests.conftest import full
from tests.store.recorder import Call, Disk, Recorder, crashes
from tests.store.states import KERNEL_PAGE, Bench, content, make_image, patched

ROUNDS = 200 if full() else 2
MOST_ROUNDS = 10 * ROUNDS  # by then enough was written
LONGEST_LIFE_S = 0.5  # some thirty commits with their prunes, gcs and compactions
MOST_ALIVE = 20  # commits kept between rounds
INDEX = {
    "store",
    "store tmp",
}  # one a crash spoiled is made again from the packs: its fsyncs save work, no commit
PREFIXES, CRASHES = (1 << 30, 8) if full() else (6, 3)  # replayed, and ways of each, drawn by a seed


class Story:
    """A recorded life of a store: commits, a prune, gc, compaction; and how to judge what a crash leaves of it."""

    def __init__(self, home: Path) -> None:
        self.files = Recorder()
        make_image(home, "base", self.files)
        self.files.fsync(home / "images" / "base")  # the image builder's own part
        self.begin = len(self.files.calls)
        self.bench = bench = Bench(home, self.files)
        pages = {4: content(1003), KERNEL_PAGE: patched(2000)}  # of the root disk; nearly of the kernel
        golden = self.row(bench.commit({p: content(p) for p in (1, 2, 3, 90)} | pages, {1: content(7)}))
        many = {page: content(500 + page) for page in range(100, 140)}
        doomed = [
            self.row(bench.commit(many, {50: content(50)}, golden)),
            parent := self.row(bench.commit({6: content(6)}, {52: content(52)}, golden)),
            self.row(bench.commit({11: content(12)}, {}, golden)),
        ]
        bench.store.gc(bench.states)  # from here on the index's file names these packs
        self.row(bench.commit({100: content(500 + 100), 7: content(8)}, {51: content(51)}, parent))
        for commit in doomed:
            self.files.note("forget", commit)
            bench.store.delete(commit)
        bench.store.gc(set(bench.states) - set(doomed))
        self.row(bench.commit({8: content(9)}, {}, golden))
        assert bench.store.compact() > 0
        self.row(bench.commit({9: content(500 + 100), 10: content(11)}, {}, golden))

    def row(self, commit: str) -> str:
        """The catalog's transaction: one atomic durable step."""
        self.files.note("ack", commit)
        return commit

    def failures(
        self, calls: Sequence[Call], scratch: Path, prefixes: Iterable[int], ways: int = 8, seed: int = 0
    ) -> Iterable[str]:
        """What is wrong after crashes in a history; nothing is, if the order of writes is right."""
        home, dice = self.bench.home, random.Random(seed)
        layout = self.bench.store.reader.layout
        watched = [layout.packs, layout.commits, layout.root, layout.layers]
        for prefix in prefixes:
            disk = Disk()
            for call in calls[:prefix]:
                disk.play(call)
            for name, crash in dice.sample(crashes(watched, prefix), ways):
                shutil.rmtree(scratch, ignore_errors=True)
                for path, data in crash(disk).items():
                    target = scratch / path.relative_to(home)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(data)
                scratch.mkdir(exist_ok=True)
                for wrong in self._judge(scratch, disk.rows):
                    yield f"after {prefix} calls ({calls[prefix - 1]!r:.80}), {name}: {wrong}"

    def _judge(self, home: Path, rows: set[str]) -> Iterable[str]:
        store = PackStore(home)
        try:
            yield from (problem.what for problem in store.check(100))
            for commit in sorted(rows):
                if not self.bench.reads(commit, store):
                    yield f"commit {commit[:12]} is not what was committed"
            store.gc(rows)
            if store.commits() != sorted(rows):
                yield "commits without a row are left"
            yield from (problem.what for problem in store.check(0))
        except Exception as error:  # whatever it is, it is a failure
            yield repr(error)
        finally:
            store.close()


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("story") / "home")


def test_every_prefix_of_the_writes_leaves_whole_commits(story: Story, tmp_path: Path) -> None:
    calls, seed = story.files.calls, random.randrange(1 << 30)
    print("seed", seed)
    every = range(story.begin, len(calls) + 1)
    prefixes = sorted(random.Random(seed).sample(every, min(PREFIXES, len(every))))
    assert list(story.failures(calls, tmp_path / "crashed", prefixes, CRASHES, seed)) == []


def site(call: Call) -> str:
    """The line of ours an fsync comes from, told by what it makes durable."""
    name = call.path.name
    if name in ("packs", "layers", "commits", "store", "root.raw", "vmlinux"):
        return name
    parts = name.split(".")
    return f"{call.path.parent.name} {'.'.join(parts[2:]) if name.endswith('.pack') else parts[-1]}"


def test_every_fsync_is_needed(story: Story, tmp_path: Path) -> None:
    calls = story.files.calls
    sites = sorted({site(call) for call in calls[story.begin :] if call.verb == "fsync"} - INDEX)
    assert len(sites) >= 8, sites
    seed = random.randrange(1 << 30)
    print("seed", seed)
    for left_out in random.Random(seed).sample(sites, len(sites) if full() else 3):
        without = [
            c for n, c in enumerate(calls) if n < story.begin or c.verb != "fsync" or site(c) != left_out
        ]
        found = story.failures(without, tmp_path / "crashed", _telling(without, story.begin))
        assert next(iter(found), None), f"no crash shows that the fsync of {left_out} is needed"


def test_the_fsync_before_packs_go_is_needed(story: Story, tmp_path: Path) -> None:
    calls = story.files.calls
    gone = max(n for n, c in enumerate(calls) if c.verb == "unlink" and c.path.suffix == ".commit")
    synced = next(
        n for n, c in enumerate(calls) if n > gone and c.verb == "fsync" and c.path.name == "commits"
    )
    without = calls[:synced] + calls[synced + 1 :]
    assert any(True for _ in story.failures(without, tmp_path / "crashed", range(synced + 4, synced + 8)))


@pytest.mark.parametrize("swap", ["record before pack", "packs gone before index", "index before new pack"])
def test_swapped_writes_are_noticed(story: Story, tmp_path: Path, swap: str) -> None:
    calls = list(story.files.calls)
    acks = [n for n, call in enumerate(calls) if call.verb == "ack"]
    if swap == "record before pack":
        start = next(n for n in range(acks[0], len(calls)) if calls[n].path.suffix == ".pack")
        record = [
            n
            for n in range(start, acks[1])
            if ".commit" in calls[n].path.name or calls[n].path.name == "commits"
        ]
        moved, to = record, start
    elif swap == "packs gone before index":
        gone = [
            n
            for n in range(acks[4], acks[5])
            if calls[n].verb == "unlink" and calls[n].path.suffix == ".pack"
        ]
        moved, to = gone, next(n for n in range(acks[4], len(calls)) if ".index" in calls[n].path.name)
    else:
        index = [
            n
            for n in range(acks[5], acks[6])
            if "index" in calls[n].path.name or calls[n].path.name == "store"
        ]
        moved, to = index, next(n for n in range(acks[5], len(calls)) if calls[n].path.suffix == ".pack")
    assert moved and to < min(moved)
    rest = [call for n, call in enumerate(calls) if n not in moved]
    swapped = rest[:to] + [calls[n] for n in moved] + rest[to:]
    found = story.failures(swapped, tmp_path / "crashed", range(to, min(len(calls), max(moved) + 4)))
    assert next(iter(found), None), f"no crash shows: {swap}"


def test_a_transaction_of_the_catalog_is_durable(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.db")
    database = catalog._db
    assert database.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert database.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    catalog.close()


PROGRAM = """
import itertools, os, sys
from pathlib import Path
from tests.store.states import Bench, content
home, rows = Path(sys.argv[1]), open(sys.argv[2], "a")
for line in sys.stdin:  # a fork a round: to start an interpreter takes longer than to write a hundred commits
    if pid := os.fork():
        os.waitpid(pid, 0)
    else:
        break
else:
    sys.exit()
bench = Bench(home)
commits = []
print(os.getpid(), flush=True)
for step in itertools.count(int(line)):
    pages = {step % 256: content(step + 1), 255 - step % 256: content(step + 2)}
    made = bench.commit(pages, {}, commits[-1] if commits else None)
    commits.append(made)
    print(f"+{made} {step}", file=rows, flush=True)
    if len(commits) > 6:
        print(f"-{commits[2]}", file=rows, flush=True)
        bench.store.delete(commits.pop(2))
        bench.store.gc(bench.store.commits())
        bench.store.compact()
"""


def test_kill_at_random_instants(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    dice = random.Random(seed)
    print("seed", seed)
    home, rows = tmp_path / "home", tmp_path / "rows"
    make_image(home)
    rows.touch()
    program = [sys.executable, "-c", PROGRAM, str(home), str(rows)]
    root, pipe = Path(__file__).parents[2], subprocess.PIPE
    with subprocess.Popen(program, cwd=root, text=True, bufsize=1, stdin=pipe, stdout=pipe) as nursery:
        assert nursery.stdin and nursery.stdout
        lines: list[str] = []
        rounds = 0
        while rounds < ROUNDS or len(lines) <= ROUNDS:
            assert rounds < MOST_ROUNDS
            print(rounds * 1000, file=nursery.stdin, flush=True)
            rounds += 1
            pid = int(nursery.stdout.readline())
            time.sleep(dice.random() * LONGEST_LIFE_S)
            assert Path(f"/proc/{pid}/status").read_text().find("zombie") < 0, "it ended by itself"
            os.kill(pid, signal.SIGKILL)
            while Path(f"/proc/{pid}").exists():
                time.sleep(0.001)
            lines = [line for line in rows.read_text().splitlines(keepends=True) if line.endswith("\n")]
            alive = {line[1:41] for line in lines if line[0] == "+"} - {
                line[1:41] for line in lines if line[0] == "-"
            }
            store = PackStore(home)
            store.gc(alive)
            assert store.commits() == sorted(alive)
            assert store.check(100) == []
            prune_oldest(store, alive, rows)
            store.close()
        nursery.stdin.close()


def prune_oldest(store: PackStore, alive: set[str], rows: Path) -> None:
    """Keep the store small: checking all of it is what takes the time of a round."""
    made = [line[1:41] for line in rows.read_text().splitlines() if line[0] == "+" and line[1:41] in alive]
    with rows.open("a") as file:
        for commit in made[:-MOST_ALIVE]:
            print(f"-{commit}", file=file)
            store.delete(commit)


def _telling(calls: Sequence[Call], begin: int) -> list[int]:
    """Prefixes to try: right after each row, then everywhere."""
    rows = [n + 1 for n, call in enumerate(calls) if call.verb == "ack"]
    return rows + [n for n in range(begin, len(calls) + 1) if n not in rows]
