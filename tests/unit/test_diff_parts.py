"""No part of a file's state is forgotten: each byte of an inode and each flag is in the list, and the list is true."""

from pathlib import Path

import pytest

from core.diff import flags
from core.diff.carry import Remarks
from core.diff.entry import Aspect, DiffEntry, FilesystemDiff
from core.diff.filesystem import diff_disks
from core.diff.inodes import _FIELDS
from core.diff.merge import Merge, Prefer, merge
from core.diff.parts import INODE_BYTES, PARTS, Leaves, Part
from core.diff.select import ALL_FILES
from core.diff.shape import shown
from core.disk.qcow2 import ChainDisk
from tests.unit.diff_images import copy_sparse, debugfs, make_image

# What debugfs calls a place of an inode, and a value that differs there.
FIELDS = {
    (2, 2): "uid 77",
    (24, 2): "gid 77",
    (120, 4): "uid 0x50000",
    (4, 4): "size 3",
    (108, 4): "size 0x100000005",
    (32, 4): "flags 0x80010",
    (156, 4): "projid 7",
    (16, 4): "mtime @1000000000",
    (136, 4): "mtime_extra 4",
    (8, 4): "atime @1000000000",
    (140, 4): "atime_extra 4",
    (12, 4): "ctime @1000000000",
    (132, 4): "ctime_extra 4",
    (144, 8): "crtime @1000000000",
    (20, 4): "dtime @1000000000",
    (26, 2): "links_count 2",
    (36, 4): "version 9",
    (152, 4): "version_hi 9",
    (100, 4): "generation 9",
    (28, 4): "blocks 16",
    (112, 4): "faddr 9",
}
OTHERWISE = {
    "type": "sif file mode 0010644",
    "mode": "sif file mode 0100600",
    "content": "zap_block -f file -p 0x58 0",
    "symlink target": "sif link block[0] 0x64646464",
    "device numbers": "sif node block[0] 0x105",
    "attributes, access lists and capabilities": "ea_set file user.note value",
}


def test_every_byte_of_an_inode_is_of_some_part() -> None:
    covered = {
        byte for part in PARTS for first, length in part.places for byte in range(first, first + length)
    }
    assert covered == set(range(INODE_BYTES))
    assert {change for part in PARTS if (change := part.change)} == set(Aspect)
    assert all(part.why for part in PARTS if part.change is None or not part.carried)


def test_every_field_that_is_read_is_of_some_part() -> None:
    for name, _, offset in _FIELDS:
        assert any(first <= offset < first + length for part in PARTS for first, length in part.places), name


def test_every_flag_is_of_one_kind() -> None:
    kinds = (flags.SHOWN_MASK, flags.LAYOUT_FLAGS, flags.REFUSED_FLAGS, flags.UNUSED_FLAGS)
    assert sum(kinds) == 0xFFFFFFFF
    assert len(set(flags.SHOWN_FLAGS.values())) == len(flags.SHOWN_FLAGS)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("file\n")
    (tree / "link").symlink_to("aaaa")
    made = make_image(tmp_path / "image.raw", tree, 16)
    debugfs(made, "mknod node c 1 3", "sif file mtime @1700000000")
    return made


def edits() -> list[tuple[Part, str]]:
    found = [
        (part, f"sif file {FIELDS[place]}") for part in PARTS for place in part.places if place in FIELDS
    ]
    return found + [(part, OTHERWISE[part.name]) for part in PARTS if part.name in OTHERWISE]


def changed(image: Path, *edit: str) -> tuple[tuple[DiffEntry, ...], Merge]:
    new = copy_sparse(image, image.parent / "new.raw")
    debugfs(new, *edit)
    with ChainDisk(image) as a, ChainDisk(new) as b:
        found = diff_disks(a, b, times=True, renames=False)
        return found.entries, merge(a, a, b, None, ALL_FILES, Prefer.THEIRS)


@pytest.mark.parametrize(
    ("part", "edit"), edits(), ids=lambda value: value if isinstance(value, str) else None
)
def test_the_list_is_true(image: Path, part: Part, edit: str) -> None:
    """What the list says is told is told, what it says is not is not; what a patch cannot carry has a remark."""
    entries, merged = changed(image, edit)
    if part.change is None:
        assert entries == ()
        return
    (entry,) = entries
    assert part.change in entry.what and is_shown(entry)
    assert bool(merged.not_carried) == (Leaves.APPLY not in part.carried)
    remarks = list(Remarks([entry]).of(entry))
    if part.change is not Aspect.MTIME:
        assert bool(remarks) >= (Leaves.PATCH not in part.carried)


def is_shown(entry: DiffEntry) -> bool:
    (told,) = shown(FilesystemDiff((entry,)))
    return bool(told.before != told.after or entry.what == {Aspect.CONTENT})


def test_flags_and_project_ids_are_told_and_named(image: Path) -> None:
    (entry,), merged = changed(image, "sif file flags 0x80030", "sif file projid 7")
    assert entry.what == {Aspect.FLAGS, Aspect.PROJECT}
    assert merged.steps == () and merged.not_carried == (b"/file",)
    assert entry.after and flags.lsattr(entry.after.flags) == "ia" and entry.after.project == 7
    assert list(Remarks([entry]).of(entry)) == [b"# /file: flags - -> ia\n", b"# /file: project 0 -> 7\n"]
