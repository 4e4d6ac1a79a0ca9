"""What is put comes back, once: pages, disks, devices, ids."""

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from core.disk.qcow2 import ChainDisk
from core.errors import Conflict, Damaged, NotFound
from core.model import PAGE_BYTES
from core.store.image_pages import TOUCHED
from core.store.pack import Pack
from core.store.packs import PackStore
from core.store.reader import TABLES_BYTES, PageReader
from core.store.record import Record
from core.store.shelf import MOST_OPEN
from core.store.usage import CommitGroup
from core.store.values import DISK, MEMORY
from tests.conftest import full
from tests.store.states import KERNEL_PAGE, PAGES, Bench, Steps, content, make_image, patched

PAGE_SETS = st.dictionaries(st.integers(0, PAGES - 1), st.integers(0, 40).map(content), max_size=40)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "home")


@settings(max_examples=300 if full() else 8, deadline=None)
@given(
    steps=st.lists(st.tuples(PAGE_SETS, PAGE_SETS, st.integers(0, 5)), min_size=1, max_size=5), data=st.data()
)
def test_any_states_come_back(
    steps: list[tuple[dict[int, bytes], dict[int, bytes], int]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory) / "home")
        for memory, disk, back in steps:
            known = list(bench.states)
            bench.commit(memory, disk, known[-1 - back % len(known)] if known else None)
        assert all(bench.reads(commit) for commit in bench.states)
        bench.store.close()
        again = PackStore(bench.home)
        commit = data.draw(st.sampled_from(sorted(bench.states)))
        assert bench.reads(commit, again)
        assert again.check(100) == []
        again.close()


def test_a_captured_memory_is_given_back_over_its_base(bench: Bench) -> None:
    bench.commit({1: content(1), 2: content(2), 3: content(3)}, {})
    captured, _, parents = bench.capture({2: content(20), 3: bytes(PAGE_BYTES)}, {})
    made = bench.store.identify(captured, parents)
    bench.store.put(captured, made)
    memory = bytearray(bench.states[bench.golden or ""].bytes_of(MEMORY))
    for page, data in zip(captured.pages.tolist(), captured.table, strict=True):
        memory[page * PAGE_BYTES : (page + 1) * PAGE_BYTES] = data.tobytes()
    assert bench.store.reader.read(made.id, MEMORY, 0, PAGES) == memory
    hashes = bench.store.memory_hashes(made.id)
    assert [bytes(row) for row in hashes] == [
        blake3(memory[at : at + PAGE_BYTES]).digest() for at in range(0, len(memory), PAGE_BYTES)
    ]


def test_pages_captured_unchanged_are_the_base_s(bench: Bench) -> None:
    """A machine's anonymous pages may be equal to the base's again: they cost nothing, and the state is the same."""
    golden = bench.commit({1: content(1), 2: content(2)}, {})
    captured, _, parents = bench.capture({2: content(20)}, {})
    once = bench.store.identify(captured, parents)
    pages = np.array([1, 2, 9], np.uint32)
    table = np.frombuffer(content(1) + content(20) + bytes(PAGE_BYTES), np.uint8).reshape(-1, PAGE_BYTES)
    padded = bench.store.identify(replace(captured, pages=pages, table=table), parents)
    assert padded.id == once.id and padded.rows.tolist() == [1]
    manifest, _ = bench.store.put(replace(captured, pages=pages, table=table), padded)
    assert manifest.page_count == 1 and manifest.base == golden
    assert bench.store.reader.read(manifest.id, MEMORY, 1, 2) == content(1) + content(20)


def test_what_stands_elsewhere_is_not_stored_again(bench: Bench) -> None:
    golden = bench.commit({1: content(1)}, {})
    packs = bench.store.reader.layout.list_packs()
    root_block, kernel_page = content(1003), content(2005)
    same = {5: content(1), 6: root_block, 7: kernel_page, 8: bytes(PAGE_BYTES)}
    commit = bench.commit(same, {40: content(1), 41: kernel_page, 3: content(1004)}, golden)
    assert bench.store.reader.layout.list_packs() == packs
    assert bench.reads(commit)


def test_a_patched_kernel_page_is_stored_as_its_difference(bench: Bench) -> None:
    at = {KERNEL_PAGE + page: patched(2000 + page) for page in range(16)}
    commit = bench.commit(at, {})
    number, path = max(bench.store.reader.layout.list_packs().items())
    pack = Pack(path, number)
    assert (pack.directory.against != 0).sum() == 16
    assert pack.directory.frame_bytes.sum() < 16 * 100
    assert bench.reads(commit)


def test_what_a_waking_machine_touches_is_packed_first(bench: Bench) -> None:
    early = [200, 130, 70, 3]
    (bench.home / "images" / "base" / TOUCHED).write_bytes(np.array([*early, 9000], "<u4").tobytes())
    pages = {page: content(5000 + page) for page in range(0, PAGES, 2)} | {
        page: content(page) for page in early
    }
    commit = bench.commit(pages | {KERNEL_PAGE: patched(2000)}, {7: content(7)})
    number, path = max(bench.store.reader.layout.list_packs().items())
    first = bench.store.reader.table(commit, MEMORY)[sorted(early)]
    assert Pack(path, number).directory.ids[: len(early)].tolist() == first.tolist()
    assert bench.reads(commit)


def test_a_state_has_one_id_and_a_commit_another(bench: Bench) -> None:
    golden = bench.commit({1: content(1)}, {2: content(2)})
    one, _, parents = bench.capture({4: content(4)}, {9: content(9)})
    other = bench.capture({4: content(4)}, {9: content(9), 2: content(2)})[0]
    first, second = (bench.store.identify(captured, parents) for captured in (one, other))
    assert (first.state_id, first.id) == (second.state_id, second.id)
    assert bench.store.identify(one, (golden, golden)).id != first.id
    changed = bench.capture({4: content(5)}, {9: content(9)})[0]
    assert bench.store.identify(changed, parents).state_id != first.state_id
    assert bench.store.identify(replace(one, devices=b"other"), parents).state_id != first.state_id
    manifest, added = bench.store.put(one, first)
    assert added > 0 and bench.store.put(other, second) == (manifest, 0)


def test_the_tool_of_the_format_reads_a_pack(bench: Bench) -> None:
    bench.commit({page: content(page + 1) for page in range(40)}, {})
    number, path = max(bench.store.reader.layout.list_packs().items())
    pack = Pack(path, number)
    pack.check()
    read = subprocess.run(["zstd", "-dcq", str(path)], capture_output=True, check=True).stdout
    assert read == b"".join(content(page + 1) for page in range(40))
    at, whole = 0, []
    for compressed, plain in pack.seek_table.tolist():
        if plain:
            whole.append(subprocess.run(["zstd", "-dcq"], input=path.read_bytes()[at : at + compressed],
                                        capture_output=True, check=True).stdout)  # fmt: skip
        at += compressed
    assert b"".join(whole) == read


def test_a_reader_in_another_process_follows(bench: Bench) -> None:
    program = """
import sys
from pathlib import Path
from core.store.reader import PageReader
from core.store.record import Record
reader = PageReader(Path(sys.argv[1]))
for line in sys.stdin:
    commit = line.strip()
    print(reader.read(commit, "memory", 0, 256) .hex(), flush=True)
reader.close()
"""
    first = bench.commit({1: content(1)}, {})
    run = [sys.executable, "-c", program, str(bench.home)]
    with subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdin and reader.stdout

        def ask(commit: str) -> bytes:
            assert reader.stdin and reader.stdout
            print(commit, file=reader.stdin, flush=True)
            return bytes.fromhex(reader.stdout.readline())

        assert ask(first) == bench.states[first].bytes_of(MEMORY)
        second = bench.commit({page: content(300 + page) for page in range(60)}, {})
        assert ask(second) == bench.states[second].bytes_of(MEMORY)
        third = bench.commit({2: content(302), 3: content(303), 70: content(9)}, {}, first)
        bench.forget(second)
        bench.store.gc(bench.states)
        assert bench.store.compact() > 0
        assert ask(third) == bench.states[third].bytes_of(MEMORY)
        reader.stdin.close()


def test_a_commit_is_verified_while_what_it_leans_on_goes(bench: Bench) -> None:
    """It leaned on that when its record was read, and leans on something else by the time that one's is."""
    golden = bench.commit({1: content(1)}, {})
    middle = bench.commit({2: content(2)}, {})
    last = bench.commit({3: content(3)}, {}, middle)

    class Late(PageReader):
        def record(self, commit: str) -> Record:
            if commit == middle and middle in bench.states:
                bench.forget(middle)
            return super().record(commit)

    reader = Late(bench.home)
    assert reader.record(last).table(MEMORY).lean == middle
    reader.verify(last)
    assert middle not in bench.states and bench.reads(last) and bench.reads(golden)
    reader.close()


def test_tables_stay_readable_when_what_they_lean_on_goes(bench: Bench) -> None:
    commits = [bench.commit({0: content(1)}, {0: content(2)})]
    for step in range(40):
        commits.append(bench.commit({step: content(50 + step)}, {step: content(90 + step)}, commits[-1]))
    for commit in commits[1:40:2] + commits[2:30:4]:
        bench.forget(commit)
    bench.store.gc(bench.states)
    again = PackStore(bench.home)
    assert all(bench.reads(commit, again) for commit in bench.states)
    assert again.check(100) == []


def test_a_disk_table_reads_as_the_layers_do(bench: Bench) -> None:
    one = bench.commit({}, {1: content(7), 100: content(8)})
    two = bench.commit({}, {100: content(1001), 101: bytes(PAGE_BYTES), 1: content(1001)}, one)
    layers = [bench.store.layer_path(layer) for layer in bench.states[two].layers]
    with (
        ChainDisk(bench.home / "images/base/root.raw", layers) as chain,
        bench.store.disk(two) as table,
        bench.store.disk(one, layers[1:]) as live,
        bench.store.disk(one) as before,
    ):
        blocks = np.arange(PAGES)
        assert (chain.read_blocks(blocks) == table.read_blocks(blocks)).all()
        assert (chain.read_blocks(blocks) == live.read_blocks(blocks)).all()
        assert table.changed_blocks(before).tolist() == before.changed_blocks(live).tolist() == [1, 100]
        assert table.changed_blocks(live).tolist() == []
        for disk in (table, live):
            with pytest.raises(Damaged):
                disk.read_blocks(np.array([PAGES]))


def test_export_and_import(bench: Bench, tmp_path: Path) -> None:
    bench.commit({1: content(1), KERNEL_PAGE: patched(2000)}, {5: content(5)})
    commit = bench.commit({2: content(2)}, {6: content(6)})
    file = tmp_path / "commit.vertui"
    bench.store.export(commit, file)
    with pytest.raises(Conflict):
        bench.store.export(commit, file)
    for home in ("other", "third"):
        (tmp_path / home).mkdir()
    other = PackStore(tmp_path / "other")
    manifest, stored = other.import_(file)
    assert stored > 0 and other.import_(file) == (manifest, 0)
    assert manifest.foreign and (manifest.id, manifest.state_id) == (
        commit,
        bench.store.manifest(commit).state_id,
    )
    for medium in (MEMORY, DISK):
        assert other.reader.read(commit, medium, 0, PAGES) == bench.states[commit].bytes_of(medium)
    assert other.check(100) == []
    data = bytearray(file.read_bytes())
    third = PackStore(tmp_path / "third")
    for at in range(0, len(data), 97 if full() else 997):
        broken = data.copy()
        broken[at] ^= 4
        file.write_bytes(broken)
        with pytest.raises(Damaged):
            third.import_(file)
    assert third.commits() == [] and not third.reader.layout.list_packs()


def test_an_image_can_go_when_its_pages_are_used_elsewhere(bench: Bench) -> None:
    golden = bench.commit({6: content(1003), 7: content(2005), KERNEL_PAGE: patched(2000)}, {})
    make_image(bench.home, "other")
    with (bench.home / "images/other/root.raw").open("r+b") as file:
        file.write(content(3000))
    second = Bench(bench.home, image="other")
    kept = second.commit({6: content(1000), 7: content(2005), KERNEL_PAGE: patched(2000)}, {})
    bench.store.close()
    store = PackStore(bench.home)
    store.delete(golden)
    store.forget_image("base", told := Steps())
    assert told.heard and told.heard[-1][0] == told.heard[-1][1]
    for path in (bench.home / "images/base").iterdir():
        path.unlink()
    assert store.reader.read(kept, MEMORY, 0, PAGES) == second.states[kept].bytes_of(MEMORY)
    store.gc([kept])
    assert [problem.what for problem in PackStore(bench.home).check(100)] == []


def test_usage_adds_up(bench: Bench) -> None:
    golden = bench.commit({page: content(page) for page in range(1, 33)}, {})
    child = bench.commit({page: content(100 + page) for page in range(1, 17)}, {})
    before = bench.store.du()
    assert before.commits[child].shared_bytes > 0 < before.commits[child].unique_bytes
    assert before.commits[golden].logical_bytes == (32 + 32) * PAGE_BYTES
    assert before.dedup > 1 and before.compression > 4
    bench.forget(child)
    freed = bench.store.gc([golden])
    assert (
        abs(freed + 500 - before.commits[child].unique_bytes) < 2500
    )  # a pack's directory belongs to no page
    with pytest.raises(NotFound):
        bench.store.memory_hashes(child)


def test_a_missing_page_is_named(bench: Bench) -> None:
    commit = bench.commit({page: content(page) for page in range(1, 33)}, {})
    path = max(bench.store.reader.layout.list_packs().values())
    data = bytearray(path.read_bytes())
    data[10] ^= 1
    path.write_bytes(data)
    reader = PageReader(bench.home)
    with pytest.raises(Damaged, match=f"page 1 of the memory of commit {commit[:12]}"):
        reader.read(commit, MEMORY, 0, 10)
    assert (
        reader.read(commit, MEMORY, 20, 5)
        == bench.states[commit].bytes_of(MEMORY)[20 * PAGE_BYTES :][: 5 * PAGE_BYTES]
    )


@pytest.mark.parametrize("left", [b"", b"half a directory"])
def test_a_half_written_pack_of_an_image_is_made_again(tmp_path: Path, left: bytes) -> None:
    home = tmp_path / "home"
    make_image(home)
    PackStore(home).close()
    unfinished = home / "store/packs/00000001.base.root.raw.pack"
    unfinished.write_bytes(left)
    bench = Bench(home)
    bench.commit({1: content(1003)}, {5: content(5)})
    bench.store.gc(bench.states)
    assert not unfinished.exists()
    assert bench.store.check(100) == [] and all(bench.reads(commit) for commit in bench.states)


def test_what_a_group_takes_is_what_its_going_frees(bench: Bench) -> None:
    golden = bench.commit({1: content(1)}, {})
    shared = bench.commit({page: content(100 + page) for page in range(20)}, {}, golden)
    one = bench.commit({page: content(300 + page) for page in range(30, 40)}, {}, shared)
    two = bench.commit({page: content(400 + page) for page in range(30, 40)}, {}, shared)
    groups = {
        "one": CommitGroup(frozenset((golden, shared, one)), frozenset((one,))),
        "both": CommitGroup(frozenset(bench.states), frozenset((shared, one, two))),
    }
    before = bench.store.du(groups)
    assert before.groups["one"].unique_bytes == before.commits[one].unique_bytes
    assert before.groups["both"].unique_bytes > sum(
        before.commits[c].unique_bytes for c in (shared, one, two)
    )
    for commit in (one, two, shared):
        bench.forget(commit)
    after = bench.store.du({"none": CommitGroup(frozenset(bench.states), frozenset())})
    left = before.groups["both"].stored_bytes - before.groups["both"].unique_bytes
    assert abs(after.groups["none"].stored_bytes - left) <= 2
    bench.store.gc(bench.states)
    frees = (
        before.packs_bytes
        + before.records_bytes
        - bench.store.du().packs_bytes
        - bench.store.du().records_bytes
    )
    assert (
        frees >= before.groups["both"].unique_bytes
    )  # and the directories of packs, which nobody is charged with


def test_few_descriptors_are_open_however_many_packs_are_read(bench: Bench) -> None:
    bench.commit({}, {})
    for number in range(MOST_OPEN + 20):
        bench.commit({1: content(100_000 + number)}, {}, bench.golden)
    assert len(bench.store.reader.shelf.paths()) > MOST_OPEN + 10
    before = psutil.Process().num_fds()
    again = PackStore(bench.home)
    assert all(bench.reads(commit, again) for commit in bench.states)
    assert again.check(100) == []
    assert psutil.Process().num_fds() - before <= MOST_OPEN + 8
    again.close()


def test_a_table_larger_than_the_room_for_all_is_made_once(bench: Bench) -> None:
    captured, _, parents = bench.capture({1: content(1)}, {})
    spec = structs.replace(captured.spec, memory_bytes=(TABLES_BYTES // 8 + 1) * PAGE_BYTES)
    captured = replace(captured, spec=spec)
    made = bench.store.identify(captured, parents)
    bench.store.put(captured, made)
    table = bench.store.reader.table(made.id, MEMORY)
    assert table.nbytes > TABLES_BYTES and bench.store.reader.table(made.id, MEMORY) is table
