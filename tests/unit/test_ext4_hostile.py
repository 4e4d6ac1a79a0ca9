"""Disks that lie: every mutation is refused in one line or read, in bounded time and memory."""

import random
import resource
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from core.diff.archive import archive
from core.diff.crc32c import crc32c_of
from core.diff.ext4 import Volume
from core.diff.filesystem import diff_disks, read_file, walk
from core.diff.index import PathIndex
from core.diff.meta import FileType
from core.diff.text import patch
from core.disk.qcow2 import ChainDisk
from core.errors import Damaged, VertuiError
from tests.conftest import full
from tests.unit.diff_images import copy_sparse, debugfs, make_image

SECONDS = 5.0
MEMORY_KIB = 300 << 10


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("hostile"), "-b", "4096")


@pytest.fixture(scope="module")
def unchecked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without checksums, so that the mutations get past them."""
    return build(tmp_path_factory.mktemp("unchecked"), "-b", "4096", "-O", "^metadata_csum")


def build(folder: Path, *options: str) -> Path:
    tree = folder / "tree"
    (tree / "sub" / "deeper").mkdir(parents=True)
    for number in range(120):
        (tree / "sub" / f"file-{number:04}-{'n' * 60}").write_bytes(b"%d\n" % number * 50)
    with (tree / "scattered").open("wb") as file:
        for at in range(40):
            file.seek(at * 40960)
            file.write(b"piece")
    (tree / "long").symlink_to("t" * 200)
    made = make_image(folder / "made.raw", tree, 8, *options)
    debugfs(made, "ea_set long user.big " + "x" * 900)
    return made


@cache
def metadata_blocks(image: Path) -> list[int]:
    """Every block that is not file data: superblock, descriptors, used inode tables, directories, trees."""
    with ChainDisk(image) as disk:
        volume, metas = Volume(disk), walk(disk).values()
        numbers = {False: set[int](), True: set[int]()}
        for meta in metas:
            numbers[meta.type is FileType.FILE].add(meta.inode)
        files, others = (volume.inodes(np.array(sorted(numbers[regular]))) for regular in (True, False))
        extents = others.extents
        runs = zip(extents.physical.tolist(), extents.length.tolist(), strict=True)
        blocks = {first + step for first, length in runs for step in range(length)}
        tables = {int(table) + step for table in volume.inode_tables for step in range(len(metas) // 16 + 2)}
    attributes = set(others.attribute_blocks.tolist())
    return sorted(blocks | tables | attributes | set(files.extents.node_block.tolist()) | {0, 1})


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def survive(original: Path, mutated: Path) -> bool:
    """Everything the reader offers, on a mutated disk; whether all of it was answered."""
    begun, peak_kib = time.monotonic(), peak()
    answered = True
    with ChainDisk(original) as a, ChainDisk(mutated) as b:
        for left, right in ((a, b), (b, a)):
            try:
                diff = diff_disks(left, right)
                assert sum(map(len, patch(diff, left, right, whole=True))) < 128 << 20
                sent = sum(map(len, archive(right, b"/", PathIndex(right))))
                assert sent < 5 * right.size
                for entry in diff.entries[:20]:
                    if entry.after and entry.after.type is FileType.FILE:
                        read_file(right, entry.path, 1 << 20)
            except VertuiError as error:
                assert "\n" not in str(error)
                answered = False
    assert time.monotonic() - begun < SECONDS
    assert peak() - peak_kib < MEMORY_KIB
    return answered


@pytest.mark.parametrize("seed", range(10 if full() else 2))
def test_flipped_bits(tmp_path: Path, image: Path, unchecked: Path, seed: int) -> None:
    rng = random.Random(seed)
    outcomes = set()
    for original in (image, unchecked):
        blocks = metadata_blocks(original)
        mutated = copy_sparse(original, tmp_path / "mutated.raw")
        whole = original.read_bytes()
        for _ in range(15):
            flips = [rng.choice(blocks) * 4096 + rng.randrange(4096) for _ in range(rng.choice([1, 1, 30]))]
            with mutated.open("r+b") as file:
                for at in flips:
                    file.seek(at)
                    file.write(bytes([whole[at] ^ 1 << rng.randrange(8)]))
            outcomes.add(survive(original, mutated))
            with mutated.open("r+b") as file:
                for at in flips:
                    file.seek(at)
                    file.write(whole[at : at + 1])
    assert False in outcomes


LIES = [
    ["set_inode_field scattered size 0x1000000000000000"],
    ["set_inode_field sub size 0x100000000"],
    ["set_inode_field long size 4000"],
    ["set_inode_field scattered flags 0"],
    ["set_inode_field scattered flags 0x10080000"],
    ["set_inode_field scattered block[0] 0xFFFFF30A"],
    ["set_inode_field scattered block[1] 0x00050001"],
    ["set_inode_field scattered block[4] 0x7FFFFFFF"],
    ["set_inode_field sub mode 0100644"],
    ["set_inode_field sub mode 0170644"],
    ["set_inode_field sub links_count 0"],
    ["set_inode_field long extra_isize 65535"],
    ["set_inode_field long file_acl 99999999"],
    ["set_inode_field long file_acl 1"],
    ["ln sub sub/deeper/loop"],
    ["ln sub twice"],
    ["ln <2> root-again"],
    ["ln <7> resize-inode"],
    ["set_super_value inodes_per_group 4294967295"],
    ["set_super_value blocks_count 0xFFFFFFFFFF"],
    ["set_super_value log_block_size 40"],
    ["set_super_value desc_size 3"],
    ["set_super_value blocks_per_group 1"],
    ["set_bg 0 inode_table 0xFFFFFF00", "set_bg 0 checksum calc"],
]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie[0])
def test_lies_with_right_checksums(tmp_path: Path, image: Path, lie: list[str]) -> None:
    """debugfs writes the checksums anew, so that only the reader's own bounds are left."""
    mutated = copy_sparse(image, tmp_path / "mutated.raw")
    debugfs(mutated, *lie)
    assert mutated.read_bytes() != image.read_bytes()
    survive(image, mutated)


@pytest.mark.parametrize("lie", [["ln sub twice"], ["ln sub sub/deeper/loop"], ["ln <2> root-again"]])
def test_directories_with_two_names_are_damaged(tmp_path: Path, image: Path, lie: list[str]) -> None:
    mutated = copy_sparse(image, tmp_path / "mutated.raw")
    debugfs(mutated, *lie)
    with ChainDisk(mutated) as disk, pytest.raises(Damaged, match="two names"):
        walk(disk)


def test_a_lost_checksum_is_damage(tmp_path: Path, image: Path) -> None:
    """One flipped bit in each kind of block the walk reads is always found."""
    mutated = copy_sparse(image, tmp_path / "mutated.raw")
    whole = image.read_bytes()
    with ChainDisk(image) as disk:
        volume = Volume(disk)
        inode = walk(disk)[b"/scattered"].inode
        names = volume.inodes(np.array([2])).extents.physical[0]
        tree = volume.inodes(np.array([inode])).extents.node_block[0]
        record = int(volume.inode_tables[0]) * 4096 + (inode - 1) * 256
    for at in (1024 + 4, 4096 + 8, int(names) * 4096 + 30, int(tree) * 4096 + 20, record + 4):
        mutated.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with ChainDisk(mutated) as disk, pytest.raises(Damaged, match="checksum"):
            walk(disk)


def test_crc32c_is_the_known_one() -> None:
    assert crc32c_of(0xFFFFFFFF, b"123456789") ^ 0xFFFFFFFF == 0xE3069283
    assert crc32c_of(crc32c_of(0xFFFFFFFF, b"12345"), b"6789") ^ 0xFFFFFFFF == 0xE3069283
