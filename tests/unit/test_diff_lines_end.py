"""Only a line feed ends a line, in everything of a guest that is read by lines."""

import random
from pathlib import Path

import pytest

from core.diff.packages import installed_packages
from core.diff.text import as_lines
from core.diff.walked import parse_walk
from core.disk.qcow2 import ChainDisk
from core.errors import GuestFailed
from core.guest.agent import sockets
from core.image.modules import read_dependencies
from core.names import meant
from tests.unit.diff_images import make_image

ENDERS = [
    b"\x0b",
    b"\x0c",
    b"\x1c",
    b"\x1d",
    b"\x1e",
    b"\r",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"\xe2\x80\xa9",
    b"\xff",
]
"""What str.splitlines takes for the end of a line, and a byte that is no text."""


def test_packages(tmp_path: Path) -> None:
    """A version that holds one of these, and what would be a package of its own behind it."""
    tree = tmp_path / "tree" / "var" / "lib" / "dpkg"
    tree.mkdir(parents=True)
    (tree / "status").write_bytes(
        b"".join(
            b"Package: p%d\nStatus: install ok installed\nVersion: 1%bPackage: forged%b%bStatus: x installed\n x: y\n\n"
            % (number, ender, ender, ender)
            for number, ender in enumerate(ENDERS)
        )
    )
    with ChainDisk(make_image(tmp_path / "image.raw", tmp_path / "tree", 16)) as disk:
        found = installed_packages(disk)
    assert set(found) == {f"p{number}:" for number in range(len(ENDERS))}
    for number, ender in enumerate(ENDERS):
        assert meant(found[f"p{number}:"]) == b"1%bPackage: forged%b%bStatus: x installed" % (
            ender,
            ender,
            ender,
        )


def test_lines_of_texts() -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(200):
        data = b"".join(
            rng.choice([*ENDERS, b"\n", b"+", b"--- a/x", b"diff --git a/x b/x"]) for _ in range(30)
        )
        lines = as_lines(data)
        assert b"".join(lines) == data
        assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in lines[:-1])


@pytest.mark.parametrize("ender", [ender.decode() for ender in ENDERS[:-1]])
def test_tables_of_the_kernel(ender: str) -> None:
    line = "0: 0100007F:1F90 0200000A:0016 01 x"
    assert len(sockets.parse(f"head\n{line}{ender}{line}\n{line}\n", 2)) == 2
    assert read_dependencies(f"a{ender}b.ko: c.ko\n") == {f"a{ender}b.ko": ("c.ko",)}


def test_a_walk_that_is_none() -> None:
    with pytest.raises(GuestFailed):
        parse_walk(b'{"path": "2f"}\x0c{}\n')
