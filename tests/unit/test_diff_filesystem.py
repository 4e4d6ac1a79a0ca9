"""What the diff makes of changes made by debugfs or byte by byte: no mount needed."""

from pathlib import Path

import numpy as np
import pytest

from core.diff.entry import Aspect, DiffEntry, DiffKind
from core.diff.ext4 import Volume
from core.diff.filesystem import diff_disks, index_of, walk
from core.diff.index import PathIndex
from core.disk.qcow2 import ChainDisk
from core.errors import Unsupported
from tests.unit.diff_images import copy_sparse, debugfs, make_image


@pytest.fixture
def old(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "folder" / "inner").mkdir(parents=True)
    for name in ("file", "twin", "folder/inner/leaf", "folder/other"):
        (tree / name).write_text(f"content of {name}\n")
    (tree / "large").write_bytes(b"".join(b"%08d" % number for number in range(100_000)))
    return make_image(tmp_path / "old.raw", tree, 16)


def compared(old: Path, new: Path) -> list[DiffEntry]:
    with ChainDisk(old) as a, ChainDisk(new) as b:
        index = PathIndex(a)
        diff = diff_disks(a, b, index)
        assert diff == diff_disks(a, b)
        assert diff_disks(b, b, index).entries == ()
        back = {entry.source or entry.path for entry in diff_disks(b, a, index).entries}
        assert back == {entry.path for entry in diff.entries}
        return list(diff.entries)


def changed(old: Path, *commands: str) -> Path:
    new = copy_sparse(old, old.with_name("new.raw"))
    debugfs(new, *commands)
    return new


def shown(entries: list[DiffEntry]) -> list[tuple[bytes, str]]:
    return [(entry.path, entry.kind.value) for entry in entries]


def test_nothing_changed(old: Path) -> None:
    assert compared(old, changed(old)) == []


def test_times_alone_are_no_change(old: Path) -> None:
    stamps = [
        f"set_inode_field {path} {kind}time @1700000000" for path in ("file", "folder") for kind in "acm"
    ]
    assert compared(old, changed(old, *stamps)) == []


def test_bytes_changed_behind_the_filesystems_back_are_found(old: Path) -> None:
    """No record differs: only the changed block and who owns it tell."""
    new = changed(old)
    data = new.read_bytes()
    at = data.index(b"00050000")
    new.write_bytes(data[:at] + b"x" + data[at + 1 :])
    (entry,) = compared(old, new)
    assert entry.path == b"/large" and entry.what == {Aspect.CONTENT}


def test_a_moved_folder_takes_what_is_below_with_it(old: Path) -> None:
    entries = compared(old, changed(old, "ln folder/inner moved", "unlink folder/inner"))
    assert [(entry.source, entry.path, entry.kind) for entry in entries] == [
        (b"/folder/inner", b"/moved", DiffKind.RENAMED),
        (b"/folder/inner/leaf", b"/moved/leaf", DiffKind.RENAMED),
    ]


def test_a_copy_whose_original_went_is_a_rename(old: Path) -> None:
    copy = old.with_name("copy")
    copy.write_text("content of file\n")
    (entry,) = compared(old, changed(old, f"write {copy} folder/copied", "rm file"))
    assert (entry.kind, entry.source, entry.path) == (DiffKind.RENAMED, b"/file", b"/folder/copied")


def test_two_files_that_trade_names_are_modified(old: Path) -> None:
    swap = [
        "ln file temporary",
        "unlink file",
        "ln twin file",
        "unlink twin",
        "ln temporary twin",
        "unlink temporary",
    ]
    entries = compared(old, changed(old, *swap))
    assert shown(entries) == [(b"/file", "modified"), (b"/twin", "modified")]
    assert all(Aspect.CONTENT in entry.what for entry in entries)


def test_a_file_replaced_by_a_folder(old: Path) -> None:
    entries = compared(old, changed(old, "rm file", "mkdir file", "mkdir file/below"))
    assert shown(entries) == [(b"/file", "modified"), (b"/file/below", "added")]
    assert entries[0].what == {Aspect.TYPE}


def test_a_new_hard_link_is_one_new_name(old: Path) -> None:
    assert shown(compared(old, changed(old, "ln file again", "sif file links_count 2"))) == [
        (b"/again", "added")
    ]


def test_sizes_and_owners(old: Path) -> None:
    (entry,) = compared(old, changed(old, "sif file size 3", "sif file gid 9", "sif file mode 0100600"))
    assert entry.what == {Aspect.CONTENT, Aspect.SIZE, Aspect.OWNER, Aspect.MODE}
    assert entry.before and entry.after
    assert (entry.before.size, entry.after.size, entry.after.gid, entry.after.mode) == (16, 3, 9, 0o600)


def test_a_hole_equals_written_zeros(old: Path) -> None:
    """The same bytes, stored otherwise: content is what counts."""
    zeros = old.with_name("zeros")
    zeros.write_bytes(bytes(1 << 20))
    filled = changed(old, f"write {zeros} zeros", "punch zeros 10 20")
    with ChainDisk(filled) as disk:
        inode = walk(disk)[b"/zeros"].inode
        assert Volume(disk).inodes(np.array([inode])).extents.length.sum() < 256
    dense = copy_sparse(old, old.with_name("dense.raw"))
    debugfs(dense, f"write {zeros} zeros")
    debugfs(dense, "fallocate zeros 0 255")
    assert [entry for entry in compared(dense, filled) if Aspect.CONTENT in entry.what] == []


def test_disks_of_different_images_are_refused(tmp_path: Path, old: Path) -> None:
    other = make_image(tmp_path / "other.raw", tmp_path / "tree", 16)
    with ChainDisk(old) as a, ChainDisk(other) as b, pytest.raises(Unsupported, match="one image"):
        diff_disks(a, b)


def test_an_index_is_carried_along(old: Path) -> None:
    """The index of a disk derived from the base's answers like one made from scratch."""
    new = changed(old, "mkdir folder/new", "write /dev/null folder/new/empty", "unlink twin")
    with ChainDisk(old) as a, ChainDisk(new) as b:
        carried, fresh = index_of(b, PathIndex(a)), PathIndex(b)
        for meta in walk(b).values():
            assert sorted(carried.paths(meta.inode)) == sorted(fresh.paths(meta.inode))
