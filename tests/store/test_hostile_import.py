"""A hundred files made to hurt: each is refused in one line, costs little memory, and leaves nothing behind."""

import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from blake3 import blake3

from core.errors import Damaged
from core.model import PAGE_BYTES
from core.store import columns, seekable
from core.store.foreign import RECORD, opened
from core.store.hashing import HASH_BYTES
from core.store.pack import HASHES, OUTLINE, OUTLINE_KINDS, Pack
from core.store.record import MAGIC, facts_of
from core.store.values import DISK, MEMORY
from tests.store.states import Bench, content

MOST_BYTES = 512 << 20
HUGE = 2 << 30
DEEP = b"[" * 100_000  # JSON that an interpreter cannot follow
IDS, PLACES = np.arange(1, 5, dtype="<u8"), np.arange(4, dtype="<u4")
PROGRAM = """
import sys
from pathlib import Path
from core.errors import Damaged
from core.store.packs import PackStore
store = PackStore(Path(sys.argv[1]))
def peak_bytes():
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) << 10
for name in sys.argv[3:]:
    try:
        store.import_(Path(sys.argv[2]) / name)
    except Damaged as error:
        said = str(error)
        assert len(said) < 500, said
    else:
        said = "accepted"
        for commit in store.commits():
            store.delete(commit)
        store.gc([])
    left = [path.name for path in (*store.reader.layout.packs.iterdir(), *store.reader.layout.commits.iterdir())]
    assert not left, (name, left)
    print(name, peak_bytes(), said, sep="\\t", flush=True)
"""


@dataclass(frozen=True)
class Parts:
    """What an exported file is made of; `facts` are the record's head."""

    frames: bytes
    facts: dict[str, Any]
    sections: dict[str, bytes]
    hashes: bytes
    outline: bytes
    footer: bytes | None = None
    raw_head: bytes | None = None
    named: dict[str, str] = field(default_factory=dict)

    def write(self, target: Path) -> None:
        """The file, with all its hashes right."""
        hashed = {name: blake3(data).hexdigest() for name, data in self.sections.items()} | self.named
        lengths = {name: len(data) for name, data in self.sections.items()}
        told = {"files": hashed, "lengths": lengths} | self.facts
        head = self.raw_head if self.raw_head is not None else json.dumps(told).encode()
        record = MAGIC + blake3(head).digest() + len(head).to_bytes(4, "little") + head
        tail = [
            seekable.skippable(RECORD, record + b"".join(self.sections.values())),
            seekable.skippable(HASHES, self.hashes),
            seekable.skippable(OUTLINE, self.outline),
        ]
        lengths_of = np.array([*_frame_bytes(self.outline), *map(len, tail)])
        table = seekable.seek_table(lengths_of, np.array([*_plain_bytes(), 0, 0, 0]))
        target.write_bytes(self.frames + b"".join(tail) + (self.footer or table))


def sealed(body: bytes) -> bytes:
    """Columns with this as their compressed part."""
    return blake3(body).digest() + body


def bomb(size: int) -> bytes:
    """A Zstandard frame of that many zeros: RLE blocks of 128 KiB (RFC 8878, 3.1.1.2)."""
    whole = size >> 17
    head = struct.pack("<IBQ", 0xFD2FB528, 0xE0, size)
    block = (1 << 1 | (1 << 17) << 3).to_bytes(3, "little") + b"\0"
    return head + block * (whole - 1) + (1 | 1 << 1 | (1 << 17) << 3).to_bytes(3, "little") + b"\0"


def table(facts: dict[str, Any], **arrays: Any) -> bytes:
    """A page table that says this."""
    return columns.encode({"lean": "", "depth": 0, "pages": 256} | facts, arrays)


ORIGINAL: list[tuple[dict[str, Any], dict[str, Any]]] = []  # the outline of the file that is good


def _frame_bytes(outline: bytes) -> list[int]:
    """The lengths an outline tells of; the true ones when it is none."""
    try:
        arrays = columns.decode(outline, OUTLINE_KINDS, 1 << 20)[1]
    except ValueError:
        arrays = ORIGINAL[0][1]
    return [int(size) for size in arrays["frame_bytes"]]


def _plain_bytes() -> list[int]:
    facts, arrays = ORIGINAL[0]
    count, step = len(arrays["ids"]), facts["frame_pages"]
    return [min(step, count - at) * PAGE_BYTES for at in range(0, count, step)]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    root = tmp_path_factory.mktemp("good")
    bench = Bench(root / "home")
    commit = bench.commit({page: content(page) for page in range(1, 40)}, {5: content(5)})
    bench.store.export(commit, root / "commit")
    bench.store.close()
    pack = Pack(root / "commit", 0)
    extra = bytes(pack.extra())
    facts, at = facts_of(extra)
    sections = {}
    for name, length in facts.pop("lengths").items():
        sections[name], at = extra[at : at + length], at + length
    del facts["files"]
    frames = (root / "commit").read_bytes()[: int(pack.outline.frame_bytes.sum())]
    hashes, outline = pack.directory.encode()
    ORIGINAL[:] = [columns.decode(outline[8:], OUTLINE_KINDS)]
    yield Parts(frames, facts, sections, hashes[8:], outline[8:])
    ORIGINAL.clear()


@dataclass(frozen=True)
class Variants:
    """The good file with one thing changed."""

    good: Parts

    def told(self, **changes: Any) -> Parts:
        """Facts of the record's head."""
        return replace(self.good, facts=self.good.facts | changes)

    def spec(self, **changes: Any) -> Parts:
        """Facts of the machine's."""
        return self.told(spec=self.good.facts["spec"] | changes)

    def label(self, **changes: Any) -> Parts:
        """Facts of the commit's label."""
        return self.told(label=self.good.facts["label"] | changes)

    def head(self, head: bytes) -> Parts:
        """The record's head itself."""
        return replace(self.good, raw_head=head)

    def section(self, name: str, data: bytes) -> Parts:
        """A section of the record."""
        return replace(self.good, sections=self.good.sections | {name: data})

    def memory(self, facts: dict[str, Any] | None = None, **arrays: Any) -> Parts:
        """The memory's table."""
        return self.section(MEMORY, table(facts or {}, **(arrays or {"places": PLACES, "ids": IDS})))

    def outline(self, **changes: Any) -> Parts:
        """Facts or columns of the pack's outline."""
        facts, arrays = ORIGINAL[0]
        arrays = arrays | {name: value for name, value in changes.items() if name in arrays}
        facts = facts | {name: value for name, value in changes.items() if name not in arrays}
        return replace(self.good, outline=columns.encode(facts, arrays))


def hostile(good: Parts) -> dict[str, Parts]:
    """The files, by what is wrong with them."""
    change, found = Variants(good), dict[str, Parts]()
    for group in (heads, bombs, memory_tables, kinds_and_shapes, pack_ends):
        for name, parts in group(change).items():
            assert name not in found
            found[name] = parts
    return found


def heads(change: Variants) -> dict[str, Parts]:
    """Manifests that say what none does."""
    memory_bytes = change.good.facts["spec"]["memory_bytes"]
    return {
        "format 99": change.told(format=99),
        "format true": change.told(format=True),
        "unknown key": change.told(more=1),
        "unknown key of spec": change.spec(more=1),
        "unknown key of label": change.label(more=1),
        "message of 30 MB": change.label(message="x" * (30 << 20)),
        "message a little long": change.label(message="x" * 10_001),
        "many parents": change.told(parents=["ab" * 20] * 100_000),
        "long image": change.told(image="x" * 101),
        "branch of capitals": change.label(branch="MAIN"),
        "time to come": change.label(created=1e300),
        "base of words": change.told(base="../x"),
        "memory of a page too many": change.spec(memory_bytes=memory_bytes + 4096),
        "memory of 1 PiB": change.spec(memory_bytes=1 << 50),
        "disk of 16 TiB": change.spec(disk_bytes=1 << 44),
        "a million processors": change.spec(vcpus=10**6),
        "pages below none": change.told(page_count=-1),
        "deep manifest": change.head(DEEP),
        "long number": change.head(b'{"format": ' + b"9" * 100_000 + b"}"),
        "head of 100 MB": change.head(b" " * (100 << 20)),
        "another section": change.section("more", b"x"),
        "a hash that is none": replace(change.good, named={MEMORY: "0"}),
    }


def bombs(change: Variants) -> dict[str, Parts]:
    """Little that becomes much when it is expanded, or by what it promises."""
    good = change.good
    frames = bomb(HUGE)[: len(good.frames)].ljust(len(good.frames), b"\0")
    return {
        "bomb of devices": change.section("devices", bomb(HUGE)),
        "bomb of devices that fits": change.section("devices", bomb(1 << 26)),
        "devices of no known size": change.section("devices", b"\x28\xb5\x2f\xfd\x00\x58\x01\x00\x00"),
        "bomb of memory": change.section(MEMORY, sealed(bomb(HUGE))),
        "bomb of disk": change.section(DISK, sealed(bomb(HUGE))),
        "bomb of a table that fits": change.section(MEMORY, sealed(bomb(48 << 20))),
        "bomb of outline": replace(good, outline=sealed(bomb(HUGE))),
        "bomb of outline that fits": replace(good, outline=sealed(bomb(40 << 20))),
        "bomb of hashes": replace(good, hashes=sealed(bomb(HUGE))),
        "bomb of frames": replace(good, frames=frames),
    }


def memory_tables(change: Variants) -> dict[str, Parts]:
    """Page tables that are none, or lean on what is not in the file."""
    return {
        "a table with more": change.memory({"more": 1}),
        "a table without": change.memory(places=PLACES),
        "a table that leans": change.memory({"lean": "image"}),
        "a table three deep": change.memory({"depth": 3}),
        "a table of 2^60 pages": change.memory({"pages": 1 << 60}),
        "a table of half pages": change.memory({"pages": 256.0}),
        "a table twice at a place": change.memory(places=PLACES * 0, ids=IDS),
        "a table backwards": change.memory(places=PLACES[::-1].copy(), ids=IDS),
        "a table beyond": change.memory(places=PLACES + np.uint32(1000), ids=IDS),
        "a table of no page": change.memory(places=PLACES, ids=IDS * np.uint64(0)),
        "a table of pages not here": change.memory(places=PLACES, ids=IDS + np.uint64(1 << 40)),
        "deep table": change.section(MEMORY, packed(DEEP)),
    }


def kinds_and_shapes(change: Variants) -> dict[str, Parts]:
    """Columns of other kinds and lengths than there are."""
    kinds = ("<f8", ">u8", "<i8", "|u1", "<M8[s]", "<c16", "|S8", "|V8", "|O")
    shapes: list[list[Any]] = [[-1], [1 << 60], [4, 4], [], [1.5], ["4"], [True], [1 << 31, 0]]
    columns_of = {f"ids of kind {kind}": [["places", "<u4", [4]], ["ids", kind, [4]]] for kind in kinds}
    columns_of |= {
        f"columns of shape {shape}": [["places", "<u4", shape], ["ids", "<u8", shape]] for shape in shapes
    }
    return {name: change.section(MEMORY, described(arrays)) for name, arrays in columns_of.items()}


def pack_ends(change: Variants) -> dict[str, Parts]:
    """What stands behind the frames: hashes, outline, seek table."""
    good, arrays, nothing = change.good, ORIGINAL[0][1], np.array([], np.int64)
    words = columns.encode({}, {"hashes": np.zeros((40, HASH_BYTES), "<u2")})
    return {
        "footer of many frames": replace(good, footer=struct.pack("<IBI", 0xFFFFFFFF, 0, seekable.SEEKABLE)),
        "footer of none": replace(good, footer=seekable.seek_table(nothing, nothing)),
        "format of outline": change.outline(format=99),
        "outline with more": change.outline(more=1),
        "deep outline": replace(good, outline=packed(DEEP)),
        "frames of true": change.outline(frame_pages=True),
        "frames of 16 MiB": change.outline(frame_pages=4096),
        "frames of half pages": change.outline(frame_pages=16.0),
        "an image's file": change.outline(source=["base", "root.raw"]),
        "ids of another kind": change.outline(ids=arrays["ids"].astype("<u4")),
        "frames of 4 GiB": change.outline(frame_bytes=arrays["frame_bytes"] + np.uint32(1 << 31)),
        "hashes of words": replace(good, hashes=words),
    }


def odd_values(good: Parts) -> Iterator[tuple[str, Parts]]:
    """Every value of the manifest replaced by what it is not."""
    odd: list[Any] = [None, [], {}, "x" * 200, -1, 1 << 70, 1e308, [[]]]
    for name in good.facts:
        for number, value in enumerate(odd):
            yield f"{name} is odd {number}", replace(good, facts=good.facts | {name: value})
    for part in ("spec", "label"):
        for name in good.facts[part]:
            for number, value in enumerate(odd):
                inner = good.facts[part] | {name: value}
                yield f"{part} {name} is odd {number}", replace(good, facts=good.facts | {part: inner})


def described(arrays: list[Any]) -> bytes:
    """A table whose columns are told to be these, with some zeros behind."""
    return packed(json.dumps({"lean": "", "depth": 0, "pages": 256, "arrays": arrays}).encode())


def packed(facts: bytes) -> bytes:
    """Columns whose facts are these bytes, with some zeros behind."""
    return sealed(zstandard.ZstdCompressor().compress(len(facts).to_bytes(4, "little") + facts + bytes(48)))


def imported(tmp_path: Path, files: dict[str, Parts]) -> dict[str, tuple[int, str]]:
    """What another process says of each file, and the memory it had taken at most by then."""
    places: dict[str, str] = {}
    for number, (name, parts) in enumerate(files.items()):
        places[f"{number}"] = name
        parts.write(tmp_path / f"{number}")
    (tmp_path / "home").mkdir()
    argv = [sys.executable, "-c", PROGRAM, str(tmp_path / "home"), str(tmp_path), *places]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, (places.get(str(done.stdout.count("\n"))), done.stderr[-2000:])
    told = [line.split("\t") for line in done.stdout.splitlines()]
    return {places[number]: (int(peak), said) for number, peak, said in told}


def test_hostile_files_are_refused(good: Parts, tmp_path: Path) -> None:
    told = imported(tmp_path, hostile(good))
    assert [name for name, (_, said) in told.items() if said == "accepted"] == []
    assert {name: peak >> 20 for name, (peak, _) in told.items() if peak > MOST_BYTES} == {}


@pytest.mark.parametrize("data", [b"", b"some text\n" * 99, b"PK\x03\x04", b"\x28"])
def test_any_other_file_is_said_to_be_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(Damaged, match="no exported commit"):
        opened(tmp_path / "file")


def test_odd_values_are_refused(good: Parts, tmp_path: Path) -> None:
    files = dict(odd_values(good))
    told = imported(tmp_path, files)
    assert len(told) > 100
    accepted = {name for name, (_, said) in told.items() if said == "accepted"}
    harmless = {
        "base is odd 0",
        "label message is odd 3",
        "label is odd 2",
        "parents is odd 1",
    }
    assert accepted == harmless
    assert max(peak for peak, _ in told.values()) < MOST_BYTES


def test_the_file_itself_is_taken(good: Parts, tmp_path: Path) -> None:
    assert imported(tmp_path, {"good": good})["good"][1] == "accepted"
