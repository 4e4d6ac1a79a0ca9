"""What waking machines touch lies side by side, for each image, whatever else is built or removed beside it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.errors import Damaged
from core.model import PAGE_BYTES
from core.store.compact import DEAD_SHARE, MANY_SMALL
from core.store.index import split
from core.store.pack import Rows
from core.store.packs import PackStore
from core.store.values import MEMORY
from tests.conftest import full
from tests.store.states import KERNEL_PAGE, PAGES, Bench, content, make_image, patched

FRAME_PAGES = 4  # small, so that 256 pages have many
IMAGES = ("base", "large", "small")
STRETCHES = (1, 1, 2)  # in so many at most lies what each of them touches
PERCENT = st.integers(5, 95)
Mask = NDArray[np.bool_]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "home")


def read_for(bench: Bench, golden: str, places: Rows) -> tuple[int, int]:
    """How many frames are read for these pages, and how many would be if they alone had been gathered."""
    reader = bench.store.reader
    ids = np.unique(reader.table(golden, MEMORY)[places])
    packs, rows = split(reader.index.locate(ids[ids != 0]))
    assert not any(reader.shelf.pack(number).outline.source for number in packs.tolist())
    frames = set(zip(packs.tolist(), (rows // FRAME_PAGES).tolist(), strict=True))
    return len(frames), -(-len(rows) // FRAME_PAGES)


def golden_of(bench: Bench, number: int, shared: Mask) -> str:
    """The golden commit of a new image: pages as in all others, pages of its own, and some of kernel and root disk."""
    bench.golden, bench.image = None, IMAGES[number]
    if number:
        make_image(bench.home, bench.image)
    own = 10_000 * (number + 1)
    pages = {page: content(5000 + page if shared[page] else own + page) for page in range(1, PAGES)}
    pages |= {
        90 + page: content(start + page) for page, start in zip(range(12), [1000, 2000] * 6, strict=True)
    }
    return bench.commit(pages, {}, devices=bench.image.encode())


def build(bench: Bench, dice: np.random.Generator, percents: tuple[int, int]) -> Iterator[dict[str, Rows]]:
    """Build one image after the other; after each, what all of them touch."""
    bench.store.tune(level=1, frame_pages=FRAME_PAGES)
    shared, lists = dice.random(PAGES) * 100 < percents[0], dict[str, Rows]()
    for number in range(len(IMAGES)):
        places = dice.permutation(np.flatnonzero(dice.random(PAGES) * 100 < percents[1]))
        lists[golden_of(bench, number, shared)] = places
        bench.store.gather(lists)
        yield lists


@settings(max_examples=200 if full() else 5, deadline=None)
@given(seed=st.integers(0, (1 << 32) - 1), percents=st.tuples(PERCENT, PERCENT))
def test_gathering_for_one_image_leaves_what_was_gathered_for_others(
    seed: int, percents: tuple[int, int]
) -> None:
    """Each image reads what it would read alone, but for the frames that a stretch begins and ends in: after each
    build, although a new image's files are found instead of pages that had been gathered. No page is kept twice for
    long.
    """
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory) / "home")
        for lists in build(bench, np.random.default_rng(seed), percents):
            judge(bench, lists)
            assert all(rows * (1 - DEAD_SHARE) <= live for rows, live in rows_of(bench))


def test_what_was_gathered_stays_so_when_an_image_goes_and_packs_are_rewritten(bench: Bench) -> None:
    *_, lists = build(bench, np.random.default_rng(1), (60, 40))
    bench.forget(next(iter(lists)))
    for page in range(MANY_SMALL):
        bench.commit({page: content(200 + page)}, {})
    bench.store.gc(bench.states)
    bench.store.forget_image(IMAGES[0])
    before = bench.store.reader.layout.list_packs()
    bench.store.compact()
    assert len(bench.store.reader.layout.list_packs()) <= len(before) - MANY_SMALL
    judge(bench, lists)


def judge(bench: Bench, lists: dict[str, Rows]) -> None:
    """Of the commits that are there."""
    for (golden, places), stretches in zip(lists.items(), STRETCHES, strict=False):
        if golden in bench.states:
            read, alone = read_for(bench, golden, places)
            assert read <= alone + 2 * stretches - 1
            assert bench.reads(golden)


def rows_of(bench: Bench) -> list[tuple[int, int]]:
    """The rows of each pack that is not external and not wholly dead, and how many of them are in use."""
    packs = split(bench.store.reader.index.everything.locations)[0]
    found = [
        (bench.store.reader.shelf.pack(n).outline, int((packs == n).sum())) for n in np.unique(packs).tolist()
    ]
    return [(len(outline.ids), live) for outline, live in found if not outline.source]


def test_gathered_pages_lie_side_by_side_and_are_what_they_were(bench: Bench) -> None:
    """Pages of a pack, of kernel and disk, and one stored against the kernel's; the rest stays readable, too."""
    memory = {page: content(100 + page) for page in range(30, 60)}
    memory |= {KERNEL_PAGE + 3: patched(2000 + 3), 5: content(2000 + 5), 6: content(1000 + 6)}
    golden = bench.commit(memory, {60: content(9)})
    child = bench.commit({95: content(7)}, {}, golden)
    places = np.array([58, KERNEL_PAGE + 3, 5, 6, 40, 41, 0])
    reader = bench.store.reader
    table = reader.table(golden, MEMORY)[places[:-1]]
    [[number], [row]] = split(reader.index.locate(table[1:2]))
    assert reader.shelf.pack(int(number)).outline.against[row]
    bench.store.gather({golden: places})
    packs, rows = split(reader.index.locate(table))
    assert len(set(packs.tolist())) == 1 and rows.tolist() == list(range(6))
    assert not reader.shelf.pack(int(packs[0])).outline.against[rows].any()
    assert bench.reads(golden) and bench.reads(child)
    again = PackStore(bench.home)
    assert (
        again.check(100) == []
        and again.reader.index.locate(table).tolist() == reader.index.locate(table).tolist()
    )
    bench.forget(child)
    bench.forget(golden)
    bench.store.gc(set())
    assert bench.store.check(100) == []


def test_damage_and_a_commit_that_is_gone_hinder_no_other_image(bench: Bench) -> None:
    """What can be read is gathered; a damaged page is as damaged as before, and no other."""
    damaged = bench.commit({page: content(100 + page) for page in range(30, 60)}, {}, devices=b"other")
    places = np.arange(30, 60)
    bench.store.gather({damaged: places})
    path = max(bench.store.reader.layout.list_packs().items())[1]
    path.write_bytes(bytes([path.read_bytes()[0] ^ 255]) + path.read_bytes()[1:])
    bench.store = PackStore(bench.home)
    golden = bench.commit({page: content(100 + page) for page in range(200, 240)}, {}, damaged)
    wanted = np.arange(239, 210, -3)
    bench.store.gather({"0" * 40: places, damaged: places, golden: wanted})
    packs, rows = split(bench.store.reader.index.locate(bench.store.reader.table(golden, MEMORY)[wanted]))
    assert len(set(packs.tolist())) == 1 and rows.tolist() == list(range(10))
    assert (
        bench.store.memory(golden, np.arange(200, 240)).tobytes()
        == bench.states[golden].bytes_of(MEMORY)[200 * PAGE_BYTES : 240 * PAGE_BYTES]
    )
    assert bench.store.memory(damaged, np.arange(46, 60)).any(axis=1).all()
    with pytest.raises(Damaged):
        bench.store.memory(damaged, places)
