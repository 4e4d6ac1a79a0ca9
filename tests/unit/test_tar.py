"""Files with holes as tar streams, both ways, held against GNU tar."""

import io
import os
import random
import subprocess
import tarfile
from pathlib import Path

import pytest

from core.errors import GuestFailed
from core.tar import END, NotATar, Reader, gnu_header, padding
from tests.conftest import full
from vertui.pack import pack
from vertui.unpack import unpack_file, unpack_tree

GIB = 1 << 30


def make(path: Path, size: int, pieces: dict[int, bytes]) -> None:
    with path.open("wb") as file:
        for offset, data in pieces.items():
            file.seek(offset)
            file.write(data)
        file.truncate(size)


def read(path: Path) -> tuple[int, dict[int, bytes]]:
    """Size and data of a file, holes left out, by blocks that hold anything."""
    found = {}
    with path.open("rb", buffering=0) as file:
        size, at = os.fstat(file.fileno()).st_size, 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA) // 4096 * 4096
            except OSError:  # nothing but a hole up to the end
                break
            if (block := os.pread(file.fileno(), 4096, at)).strip(b"\0"):
                found[at] = block
            at += 4096
    return size, found


def trees(tmp_path: Path, seed: int) -> Path:
    rng = random.Random(seed)
    source = tmp_path / "source"
    source.mkdir()
    for number, size in enumerate((0, 5, 60 * GIB, 9 * GIB + 1, 70_000, 8 << 20)):
        places = sorted(
            rng.sample(range(-(-size // 4096)), min(-(-size // 4096), rng.choice([0, 1, 4, 5, 30, 90])))
        )
        pieces = {at * 4096: rng.randbytes(min(4096, size - at * 4096)) for at in places}
        make(source / f"f{number}", size, pieces)
    make(source / ("n" * 150), GIB, {GIB // 2: b"in the middle"})
    return source


def assert_same(one: Path, two: Path) -> None:
    names = sorted(path.name for path in one.iterdir())
    assert sorted(path.name for path in two.iterdir()) == names
    for name in names:
        assert read(one / name) == read(two / name), name
        assert (two / name).stat().st_blocks <= (one / name).stat().st_blocks + 16, f"{name} lost its holes"


@pytest.mark.parametrize("seed", range(20 if full() else 2))
def test_holes_stay_holes_both_ways(tmp_path: Path, seed: int) -> None:
    source = trees(tmp_path, seed)
    packed = io.BytesIO()
    pack(source, packed)
    assert packed.tell() < 4 << 20
    ours, theirs, back = (tmp_path / name for name in ("ours", "theirs", "back"))
    unpack_tree(io.BytesIO(packed.getvalue()), ours)
    theirs.mkdir()
    subprocess.run(["tar", "-xpf", "-", "-C", theirs], input=packed.getvalue(), check=True)
    told = subprocess.run(
        ["tar", "-cSf", "-", "--format=gnu", "-C", source, "."], capture_output=True, check=True
    )
    unpack_tree(io.BytesIO(told.stdout), back)
    for copy in (ours, theirs, back):
        assert_same(source, copy)


def test_one_file_with_holes(tmp_path: Path) -> None:
    make(tmp_path / "source", 60 * GIB, {0: b"first", 59 * GIB: b"last"})
    packed = io.BytesIO()
    assert pack(tmp_path / "source", packed).size_bytes < 1 << 20
    assert unpack_file(io.BytesIO(packed.getvalue()), tmp_path, b"copy").size_bytes < 1 << 20
    assert read(tmp_path / "copy") == read(tmp_path / "source")


def sparse(size: int, *runs: tuple[int, int], stored: int | None = None) -> bytes:
    member = tarfile.TarInfo("f")
    member.size = size
    data = b"x" * (sum(length for _, length in runs) if stored is None else stored)
    header = bytearray(gnu_header(member, runs))
    if stored is not None:
        header[124:136] = b"%011o\0" % stored
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header[:512])
    return bytes(header) + data + padding(len(data)) + END


@pytest.mark.parametrize(
    "data",
    [
        sparse(100, (50, 60)),
        sparse(100, (50, 10), (40, 10)),
        sparse(100, (50, 10), (55, 10)),
        sparse(100, (0, 10), stored=20),
        sparse(1 << 40, (-5, 10)),
        sparse(1 << 40, *[(at * 2, 1) for at in range(60)])[:1024],
        sparse(100, (0, 10))[:-1024],
    ],
    ids=[
        "beyond the end",
        "backwards",
        "overlapping",
        "more data",
        "negative",
        "cut in the map",
        "no end mark",
    ],
)
def test_a_map_that_lies_is_one_error(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(GuestFailed):
        unpack_tree(io.BytesIO(data), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_map_without_end_is_refused_before_it_fills_the_memory() -> None:
    header = bytearray(sparse(1 << 60, *[(at * 2, 1) for at in range(60)])[:512])
    block = bytearray(512)
    for place in range(21):
        block[place * 24 : place * 24 + 24] = b"00000000001\0" + b"00000000000\0"
    block[504] = 1

    class Endless:
        """The header, then blocks of a map for ever."""

        sent = 0

        def read(self, size: int, /) -> bytes:
            self.sent += size
            return bytes(header) if self.sent == 512 else bytes(block)

    source = Endless()
    with pytest.raises(NotATar, match="too many holes"):
        list(Reader(source))
    assert source.sent < 64 << 20
