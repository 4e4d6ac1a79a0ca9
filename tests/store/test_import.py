"""Imported files are hostile until shown otherwise: every claim in one is checked before it is used."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from core.errors import Damaged
from core.files import os_files
from core.store import tables
from core.store.foreign import RECORD
from core.store.identify import commit_id
from core.store.pack import Directory, Pack
from core.store.pack_writer import write_tail
from core.store.packs import PackStore
from core.store.record import Record, parse_record
from core.store.seekable import skippable
from core.store.values import MEMORY, Label, Manifest
from tests.conftest import full
from tests.store.states import PAGES, Bench, content

Change = Callable[[Record, Directory], tuple[Record, Directory]]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("export")
    bench = Bench(root / "home")
    commit = bench.commit({page: content(page) for page in range(1, 40)}, {5: content(5)})
    bench.store.export(commit, root / "commit")
    return root / "commit"


def forged(exported: Path, target: Path, change: Change) -> None:
    """The file again, with all its hashes right, saying something else."""
    pack = Pack(exported, 0)
    frames = exported.read_bytes()[: int(pack.directory.frame_bytes.sum())]
    record, directory = change(parse_record(pack.extra(), "it"), pack.directory)
    os_files.append(target, frames)
    write_tail(os_files, target, directory, skippable(RECORD, record.described().encode()))


def told(**changes: object) -> Change:
    """A change of the manifest."""
    return lambda record, pack: (replace(record, manifest=replace(record.manifest, **changes)), pack)  # type: ignore[arg-type]


def spec(**changes: object) -> Change:
    """A change of the machine spec."""
    return lambda record, pack: told(spec=structs.replace(record.manifest.spec, **changes))(record, pack)


def stretched(record: Record, pack: Directory) -> tuple[Record, Directory]:
    """A table of 2^40 pages."""
    huge = replace(record.table(MEMORY), pages=1 << 40).encode()
    return replace(record, sections=record.sections | {MEMORY: huge}), pack


def leaning(record: Record, pack: Directory) -> tuple[Record, Directory]:
    """A table that leans on another commit's."""
    table = replace(record.table(MEMORY), lean="ab" * 20).encode()
    return replace(record, sections=record.sections | {MEMORY: table}), pack


def beyond(record: Record, pack: Directory) -> tuple[Record, Directory]:
    """A table with a page that is not in the file."""
    whole = record.table(MEMORY).over(np.empty(0, np.uint64)).copy()
    whole[7] = 1 << 50
    table = tables.difference(whole, whole[:0], tables.NOTHING, 0).encode()
    return replace(record, sections=record.sections | {MEMORY: table}), pack


def other_parent(record: Record, pack: Directory) -> tuple[Record, Directory]:
    """A commit id that follows from no content."""
    parents = ("ab" * 20,)
    return told(parents=parents, id=commit_id("cd" * 20, parents))(record, pack)


HOSTILE: dict[str, Change] = {
    "id": told(id="../../../../etc/passwd"),
    "id of another type": told(id=["x"]),
    "parents": told(parents=("../x",)),
    "image": told(image="../../etc"),
    "hidden image": told(image="..."),
    "branch": told(label=Label("\x1b[2J", "", 1.0)),
    "time": told(label=Label("main", "", float("nan"))),
    "label": told(label=None),
    "machine": spec(machine="pc-q35-7.2,kernel=/etc/shadow"),
    "cpu": spec(cpu="max,+x"),
    "accelerator": spec(accelerator="tcg -monitor stdio"),
    "memory": spec(memory_bytes=1 << 60),
    "no memory": spec(memory_bytes=0),
    "memory in words": spec(memory_bytes="512"),
    "a huge table": stretched,
    "a table on another": leaning,
    "a page beyond": beyond,
    "another parent": other_parent,
    "frames of nothing": lambda record, pack: (record, replace(pack, frame_pages=0)),
    "larger frames": lambda record, pack: (record, replace(pack, frame_pages=17)),
    "fewer hashes": lambda record, pack: (record, replace(pack, hashes=pack.hashes[:-1])),
    "an image's pages": lambda record, pack: (record, replace(pack, source=("base", "root.raw"))),
    "pages against others": lambda record, pack: (record, replace(pack, against=pack.ids)),
    "other ids": lambda record, pack: (record, replace(pack, ids=pack.ids + np.uint64(1))),
    "other hashes": lambda record, pack: (record, replace(pack, hashes=pack.hashes[::-1].copy())),
}


@pytest.mark.parametrize("claim", HOSTILE)
def test_a_false_claim_is_refused(exported: Path, tmp_path: Path, claim: str) -> None:
    forged(exported, tmp_path / "commit", HOSTILE[claim])
    refused(tmp_path)


def test_the_truth_is_accepted(exported: Path, tmp_path: Path) -> None:
    forged(exported, tmp_path / "commit", lambda record, pack: (record, pack))
    (tmp_path / "home").mkdir()
    store = PackStore(tmp_path / "home")
    manifest, stored = store.import_(tmp_path / "commit")
    assert isinstance(manifest, Manifest) and stored > 0
    assert store.reader.read(manifest.id, MEMORY, 5, 1) == content(5)
    assert len(store.reader.read(manifest.id, MEMORY, 0, PAGES)) == PAGES * 4096


def test_a_file_cut_short_or_changed_is_refused(exported: Path, tmp_path: Path) -> None:
    data, seed = exported.read_bytes(), random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    for _ in range(200 if full() else 20):
        length = dice.randrange(len(data))
        (tmp_path / "commit").write_bytes(data[:length])
        refused(tmp_path)
        changed = bytearray(data)
        changed[length] ^= 1 << dice.randrange(8)
        (tmp_path / "commit").write_bytes(changed)
        refused(tmp_path)


def refused(root: Path) -> None:
    """Importing fails in one line and stores nothing."""
    (root / "home").mkdir(exist_ok=True)
    store = PackStore(root / "home")
    try:
        with pytest.raises(Damaged):
            store.import_(root / "commit")
        assert store.commits() == [] and not store.reader.layout.list_packs()
    finally:
        store.close()
