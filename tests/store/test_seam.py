"""`PageStore`: what packs and their twin both do, and that both give a state the same ids."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import NotFound
from core.model import PAGE_BYTES
from core.store.packs import PackStore
from core.store.protocol import PageStore
from core.store.values import MEMORY, Label, Manifest
from tests.store.states import PAGES, Bench, Contents, content
from tests.twins.store import TwinStore

STATES: list[tuple[Contents, Contents]] = [
    ({1: content(1), 2: content(2)}, {40: content(3)}),
    ({1: content(9), 7: content(7)}, {40: content(4), 3: content(5)}),
    ({2: bytes(PAGE_BYTES)}, {}),
]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "home")


@pytest.fixture(params=["packs", "twin"])
def store(request: pytest.FixtureRequest, bench: Bench) -> PageStore:
    return bench.store if request.param == "packs" else TwinStore(bench.home)


def put(
    store: PageStore, bench: Bench, memory: Contents, disk: Contents, parent: str | None = None
) -> Manifest:
    """Commit what a machine on the golden commit would be after this."""
    captured, state, parents = bench.capture(memory, disk, parent)
    made = store.identify(captured, parents)
    manifest, _ = store.put(captured, made, Label("main", "a test", 1.0))
    assert manifest.id == made.id and manifest.state_id == made.state_id
    bench.states.setdefault(manifest.id, state)
    bench.golden = bench.golden or manifest.id
    return manifest


def history(store: PageStore, bench: Bench) -> list[Manifest]:
    """A golden commit, its child, and the child's."""
    made: list[Manifest] = []
    for memory, disk in STATES:
        made.append(put(store, bench, memory, disk, made[-1].id if made else None))
    return made


def whole(store: PageStore, commit: str) -> tuple[bytes, bytes, bytes]:
    """All of a commit: memory, disk, devices."""
    with store.disk(commit) as disk:
        return (
            store.memory(commit, np.arange(PAGES)).tobytes(),
            disk.read(0, disk.size),
            store.devices(commit),
        )


def test_what_is_put_comes_back(store: PageStore, bench: Bench) -> None:
    made = history(store, bench)
    assert sorted(store.commits()) == sorted(manifest.id for manifest in made)
    for manifest in made:
        state = bench.states[manifest.id]
        assert whole(store, manifest.id) == (state.bytes_of(MEMORY), state.bytes_of("disk"), state.devices)
        found = store.manifest(manifest.id)
        assert (found.parents, found.label, found.quiesced) == (manifest.parents, manifest.label, True)
        assert store.size_bytes(manifest.id) > 0 and store.memory_hashes(manifest.id).shape == (PAGES, 32)


def test_both_name_a_state_alike(bench: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path / "other")
    packs, twin = history(bench.store, bench), history(TwinStore(other.home), other)
    assert [(m.id, m.state_id, m.parents, m.memory, m.disk, m.page_count) for m in packs] == [
        (m.id, m.state_id, m.parents, m.memory, m.disk, m.page_count) for m in twin
    ]


def test_one_state_has_one_id_and_is_put_once(store: PageStore, bench: Bench) -> None:
    golden = history(store, bench)[0]
    captured, _, parents = bench.capture({5: content(5)}, {6: content(6)})
    made = store.identify(captured, parents)
    assert store.identify(replace(captured, quiesced=False), parents).id == made.id
    assert store.identify(captured, (golden.id, *parents)).id != made.id
    first, _ = store.put(captured, made)
    again, added = store.put(captured, made)
    assert again.id == first.id and added == 0


def test_what_is_deleted_is_not_there_but_for_who_reads_it(store: PageStore, bench: Bench) -> None:
    first, second, third = history(store, bench)
    expected = whole(store, second.id)
    with store.pinned(second.id), store.disk(second.id) as disk:
        for _ in range(2):
            store.delete(second.id)
        store.gc(frozenset({first.id, third.id}))
        assert disk.read(0, disk.size) == expected[1]
    reads: list[Callable[[], object]] = [
        lambda: store.manifest(second.id), lambda: store.devices(second.id), lambda: whole(store, second.id),
        lambda: store.pinned(second.id).__enter__(),
    ]  # fmt: skip
    for read in reads:
        with pytest.raises(NotFound):
            read()
    assert store.size_bytes(second.id) == 0 and sorted(store.commits()) == sorted((first.id, third.id))
    assert whole(store, third.id)[0] == bench.states[third.id].bytes_of(MEMORY)


def test_leftovers_of_an_earlier_process_are_collected(store: PageStore, bench: Bench) -> None:
    first, second, third = history(store, bench)
    assert store.mark(frozenset()).leftover == ()
    store.gc(frozenset())
    assert len(store.commits()) == 3, "sealed by this process: acknowledged"
    if isinstance(store, TwinStore):
        again: PageStore = TwinStore(bench.home, store.kept)
    else:
        bench.store.close()
        again = PackStore(bench.home)
    assert set(again.mark(frozenset({first.id})).leftover) == {second.id, third.id}
    again.gc(frozenset({first.id}))
    assert again.commits() == [first.id]
    assert whole(again, first.id)[0] == bench.states[first.id].bytes_of(MEMORY)


def test_layers_are_those_that_are_kept(store: PageStore, bench: Bench) -> None:
    history(store, bench)
    layers = store.layers()
    assert len(layers) == len(STATES) and all(store.layer_path(layer).is_file() for layer in layers)
    kept = min(layers)
    assert store.collect(frozenset({kept})) > 0
    assert list(store.layers()) == [kept] and store.collect(frozenset({kept})) == 0


def test_a_disk_is_read_under_layers(store: PageStore, bench: Bench) -> None:
    first, second, _ = history(store, bench)
    captured, state, _ = bench.capture({}, {9: content(99)}, second.id)
    paths = [store.layer_path(layer) for layer in captured.layers]
    with store.disk(second.id, paths) as disk, store.disk(first.id) as before:
        assert disk.read(0, disk.size) == state.bytes_of("disk")
        assert disk.changed_blocks(before).tolist() == [3, 9, 40]


def test_an_exported_commit_is_foreign_elsewhere(store: PageStore, bench: Bench, tmp_path: Path) -> None:
    manifest = history(store, bench)[1]
    other = Bench(tmp_path / "other")
    there = TwinStore(other.home) if isinstance(store, TwinStore) else other.store
    with store.staging() as path:
        store.export(manifest.id, path)
        imported, added = there.import_(path)
        assert imported.id == manifest.id and imported.foreign and added > 0
        assert whole(there, manifest.id) == whole(store, manifest.id)
        assert store.import_(path)[1] == 0 and not store.manifest(manifest.id).foreign
    assert not path.exists()
