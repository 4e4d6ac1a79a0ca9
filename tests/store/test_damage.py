"""Bits flipped and files cut: found and named, or harmless; never a wrong byte; the rest still restores."""

import random
import shutil
from pathlib import Path

import pytest

from core.catalog import Catalog
from core.catalog_values import BranchRow, Intent
from core.errors import VertuiError
from core.model import BranchState, Commit, CommitState
from core.store.packs import PackStore
from core.store.reader import PageReader
from core.store.values import DISK, MEMORY
from tests.conftest import full
from tests.store.states import PAGES, Bench, Steps, content

FLIPS = 1000 if full() else 16
CATALOG_FLIPS = 1000 if full() else 200  # more than half of the file is room, where none is noticed
CUTS = 1 if full() else 16  # every so many 4 KiB


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Three commits; the second and third have packs of their own."""
    bench = Bench(tmp_path_factory.mktemp("damage") / "home")
    golden = bench.commit({page: content(page) for page in range(1, 60)}, {1: content(7), 40: content(1005)})
    bench.commit({page: content(200 + page) for page in range(60, 90)}, {50: content(50)}, golden)
    bench.store.gc(bench.states)  # merges the index
    rest = {page: random.Random(page).randbytes(4096) for page in range(100, 130)}
    bench.commit(rest, {51: content(51)}, golden)
    bench.store.close()
    return bench


def judge(bench: Bench, home: Path) -> None:
    """Every page read is right or refused by name; what is refused, and only that, `check` names."""
    try:
        store = PackStore(home)
    except VertuiError as error:
        pytest.fail(f"the store does not open: {error}")
    told = Steps()
    problems = store.check(100, told)
    assert told.are_all
    named = {problem.commit for problem in problems}
    for commit, state in bench.states.items():
        for medium in (MEMORY, DISK):
            reader = PageReader(home)
            try:
                assert reader.read(commit, medium, 0, PAGES) == state.bytes_of(medium)
            except VertuiError as error:
                assert commit in named, f"check does not name {commit[:12]}: {error}"
                assert commit[:12] in str(error) or "commit" in str(error)
            finally:
                reader.close()
        try:
            assert store.devices(commit) == state.devices
        except VertuiError:
            assert commit in named
        if commit not in named:
            assert bench.reads(commit, store)
    store.close()


def files_of(home: Path) -> list[Path]:
    return sorted(path for top in ("store", "commits") for path in (home / top).rglob("*") if path.is_file())


def test_flipped_bits(bench: Bench, tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    files = [path.relative_to(bench.home) for path in files_of(bench.home)]
    for number in range(FLIPS):
        name = files[number % len(files)]
        data = bytearray((bench.home / name).read_bytes())
        bit = dice.randrange(len(data) * 8)
        data[bit // 8] ^= 1 << bit % 8
        broken(bench, tmp_path / "home", name, bytes(data))


def test_flipped_bits_of_the_catalog(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    good, bad = tmp_path / "good.db", tmp_path / "bad.db"
    catalog = Catalog(good)
    for number in range(60):
        commit = Commit(
            f"{dice.getrandbits(160):040x}",
            "ab" * 20,
            (),
            "main",
            "base",
            "words",
            1.5,
            CommitState.SEALED,
            True,
        )
        catalog.put_commit(commit)
        catalog.put_branch(
            BranchRow(
                f"{number:016x}",
                f"b{number}",
                BranchState.LOST,
                "",
                "base",
                commit.id,
                None,
                None,
                2.5,
                number,
            )
        )
        catalog.begin(f"request{number}", "commit", "commit main", Intent(), 3.5)
    catalog.set_setting("trunk", "0" * 16)
    assert catalog.check() == []
    rows, whole = told(catalog), good.read_bytes()
    catalog.close()
    assert told_again(good) == (rows, [])
    whole, noticed = good.read_bytes(), 0
    for _ in range(CATALOG_FLIPS):
        data = bytearray(whole)
        bit = dice.randrange(len(data) * 8)
        data[bit // 8] ^= 1 << bit % 8
        for path in tmp_path.glob("bad.db*"):
            path.unlink()
        bad.write_bytes(data)
        try:
            read, problems = told_again(bad)
        except VertuiError:  # it does not open
            noticed += 1
            continue
        assert read == rows or problems, f"bit {bit} changed what the catalog says, and nobody noticed"
        noticed += bool(problems)
    assert noticed > CATALOG_FLIPS // 4


def told(catalog: Catalog) -> list[object]:
    """All that a catalog says."""
    return [catalog.commits(), catalog.branches(), catalog.operations(), catalog.setting("trunk")]


def told_again(path: Path) -> tuple[list[object], list[str]]:
    """What a catalog says when it is opened, and what it finds wrong with itself."""
    catalog = Catalog(path)
    try:
        problems = catalog.check()
        return ([], problems) if problems else (told(catalog), [])
    finally:
        catalog.close()


def test_truncated_packs(bench: Bench, tmp_path: Path) -> None:
    path = max((bench.home / "store" / "packs").iterdir())
    data = path.read_bytes()
    for length in range(0, len(data), 4096 * CUTS):
        broken(bench, tmp_path / "home", path.relative_to(bench.home), data[:length])


@pytest.mark.parametrize("pattern", ["store/packs/*.pack", "commits/*", "store/index"])
def test_a_file_that_is_gone(bench: Bench, tmp_path: Path, pattern: str) -> None:
    for path in sorted(bench.home.glob(pattern)):
        broken(bench, tmp_path / "home", path.relative_to(bench.home), None)


def test_a_root_disk_that_changed_is_noticed(bench: Bench, tmp_path: Path) -> None:
    data = bytearray((bench.home / "images/base/root.raw").read_bytes())
    data[5 * 4096 + 7] ^= 1
    broken(bench, tmp_path / "home", Path("images/base/root.raw"), bytes(data))


def broken(bench: Bench, home: Path, name: Path, data: bytes | None) -> None:
    """Judge a copy of the home in which one file is as given, or gone."""
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(bench.home, home)
    (home / name).unlink()
    if data is not None:
        (home / name).write_bytes(data)
    elif name.parts[0] == "commits":
        store = PackStore(home)
        assert store.check(100) == [] or all(problem.commit for problem in store.check(100))
        store.close()
        return
    judge(bench, home)
