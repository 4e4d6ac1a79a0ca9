"""A filesystem whose machine died while it wrote: what was synced is read, and what is there in part is left out."""

from pathlib import Path

import pytest

from core.diff.filesystem import diff_disks, read_file, walk
from core.diff.index import PathIndex
from core.disk.qcow2 import ChainDisk
from core.errors import Damaged
from tests.unit.diff_images import copy_sparse, debugfs, make_image


@pytest.fixture
def disks(tmp_path: Path) -> tuple[Path, Path]:
    """One with two files, and what a machine left of it: a whole new file beside one whose inode was never written, a
    directory without its block, and one of the two files half changed.
    """
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("changed", "stays"):
        (tree / name).write_text(f"content of {name}\n")
    old = make_image(tmp_path / "old.raw", tree, 16)
    (tmp_path / "new").write_text("synced\n")
    new = copy_sparse(old, tmp_path / "new.raw")
    parts = ("synced", "never", "late/inner")
    debugfs(new, "mkdir late", *(f"write {tmp_path / 'new'} {part}" for part in parts))
    debugfs(new, "clri never", "zap_block -f late 0", "clri changed")
    return old, new


def test_what_is_whole_of_it_is_read(disks: tuple[Path, Path]) -> None:
    old, new = disks
    with ChainDisk(old) as a, ChainDisk(new) as b:
        with pytest.raises(Damaged):
            diff_disks(a, b)
        b.torn = True
        for index in (None, PathIndex(a)):
            told = [(entry.path, entry.kind.value) for entry in diff_disks(a, b, index).entries]
            assert told == [(b"/changed", "removed"), (b"/late", "added"), (b"/synced", "added")]
        back = [(entry.path, entry.kind.value) for entry in diff_disks(b, a).entries]
        assert back == [(b"/changed", "added"), (b"/late", "removed"), (b"/synced", "removed")]
        assert diff_disks(b, b).entries == ()
        assert {b"/stays", b"/synced", b"/late"} <= walk(b).keys() and b"/never" not in walk(b)
        assert read_file(b, b"/synced", 100) == b"synced\n"


def test_a_name_that_comes_back_is_found_though_its_directory_is_alike(disks: tuple[Path, Path]) -> None:
    """What a torn disk lacks of a directory, another has whose directory has the same bytes."""
    old, _ = disks
    whole = copy_sparse(old, old.with_name("whole.raw"))
    torn = copy_sparse(whole, old.with_name("torn.raw"))
    debugfs(torn, "clri changed")
    with ChainDisk(torn) as a, ChainDisk(whole) as b:
        a.torn = True
        assert [(entry.path, entry.kind.value) for entry in diff_disks(a, b).entries] == [
            (b"/changed", "added")
        ]
