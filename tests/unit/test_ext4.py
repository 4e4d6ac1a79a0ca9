"""Trees that mke2fs put on a disk, read back and held against the directory they came from."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.diff.filesystem import read_file, walk
from core.diff.meta import FileType
from core.disk.qcow2 import ChainDisk
from core.errors import NotFound, Unsupported, UsageError
from tests.unit.diff_images import debugfs, make_image, run, see
from tests.unit.test_diff_kernel import as_seen, bare

GIB = 1 << 30
ODD_NAMES = [b"line\nbreak", b"\xff\xfe not utf-8", "grün ☃".encode(), b"n" * 255, b" ", b"'\"\\"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything a tree can hold that mke2fs copies."""
    root = tmp_path_factory.mktemp("ext4") / "tree"
    deep = root / Path(*["deep"] * 100)
    deep.mkdir(parents=True)
    (deep / "bottom").write_text("here")
    for name in ODD_NAMES:
        (root / os.fsdecode(name)).write_bytes(name)
    (root / "empty").touch()
    (root / "large").write_bytes(random.Random(3).randbytes(5_000_001))
    os.link(root / "large", root / "deep" / "same")
    with (root / "sparse").open("wb") as file:
        file.truncate(GIB)
        for at in range(0, GIB, GIB // 20):
            file.seek(at)
            file.write(b"drop")
    (root / "many").mkdir()
    for number in range(3000):
        (root / "many" / f"file-{number}").write_text(str(number))
    (root / "short").symlink_to("x" * 59)
    (root / "long").symlink_to("y" * 60)
    (root / "longest").symlink_to("z" * 1000)
    os.mkfifo(root / "pipe")
    (root / "sticky").mkdir(mode=0o700)
    (root / "sticky").chmod(0o3751)
    os.utime(root / "empty", ns=(0, 5_000_000_000 * 10**9 + 123_456_789))
    return root


@pytest.fixture(scope="module", params=[("-b", "4096"), ("-b", "1024", "-O", "^metadata_csum,^64bit")])
def disk(tree: Path, request: pytest.FixtureRequest) -> Iterator[ChainDisk]:
    image = make_image(tree.with_name("disk.raw"), tree, 64, "-N", "8192", *request.param)
    with ChainDisk(image) as opened:
        yield opened


def test_walk_sees_what_the_kernel_sees(tree: Path, disk: ChainDisk) -> None:
    expected = {path: bare(seen)._replace(mtime_ns=0) for path, seen in see(os.fsencode(tree)).items()}
    found = {path: as_seen(meta)._replace(mtime_ns=0) for path, meta in walk(disk).items()}
    assert found.pop(b"/lost+found").mode == 0o040700
    del found[b"/"], expected[b"/"]
    # mke2fs counts a directory's links as the kernel of the tree's filesystem may not
    folders = {path for path, seen in found.items() if seen.mode & 0o170000 == 0o040000}
    for path in folders & expected.keys():
        found[path], expected[path] = found[path]._replace(links=0), expected[path]._replace(links=0)
    assert found == expected


def test_files_read_back(tree: Path, disk: ChainDisk) -> None:
    large = (tree / "large").read_bytes()
    assert read_file(disk, b"/large", 1 << 30) == large
    assert read_file(disk, b"/deep/same", 100_000) == large[:100_000]
    assert read_file(disk, b"/empty", 10) == b""
    assert read_file(disk, b"/many/file-2999", 10) == b"2999"
    assert read_file(disk, b"/" + ODD_NAMES[0], 100) == ODD_NAMES[0]
    with (tree / "sparse").open("rb") as file:
        assert read_file(disk, b"/sparse", 60 << 20) == file.read(60 << 20)


def test_only_regular_files_are_read(disk: ChainDisk) -> None:
    with pytest.raises(NotFound, match="no file"):
        read_file(disk, b"/many/nothing", 10)
    with pytest.raises(NotFound):
        read_file(disk, b"/large/below", 10)
    for path in (b"/", b"/many", b"/short"):
        with pytest.raises(UsageError, match="regular"):
            read_file(disk, path, 10)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("text")
    return make_image(tmp_path / "small.raw", tmp_path / "tree", 16)


def test_what_mke2fs_does_not_copy(small: Path) -> None:
    debugfs(
        small,
        "ea_set file user.short abc",
        "ea_set file security.long " + "v" * 700,
        "mknod device c 300 7000",
        "set_inode_field file uid 1000000",
        "set_inode_field file mtime @4294967300",
    )
    with ChainDisk(small) as disk:
        found = walk(disk)
    assert dict(found[b"/file"].xattrs) == {b"user.short": b"abc", b"security.long": b"v" * 700}
    assert found[b"/file"].uid == 1_000_000
    assert found[b"/device"].type is FileType.CHARACTER_DEVICE
    assert found[b"/device"].device == (300, 7000)


def test_deleted_files_are_not_seen(small: Path) -> None:
    debugfs(small, "rm file", "mkdir new", "write /dev/null new/empty")
    with ChainDisk(small) as disk:
        assert walk(disk).keys() == {b"/", b"/lost+found", b"/new", b"/new/empty"}


def test_other_filesystems_are_refused(tmp_path: Path, small: Path) -> None:
    empty = tmp_path / "empty.raw"
    empty.write_bytes(bytes(1 << 20))
    inline = make_image(tmp_path / "inline.raw", tmp_path / "tree", 16, "-O", "inline_data")
    clusters = make_image(tmp_path / "clusters.raw", tmp_path / "tree", 16, "-O", "bigalloc")
    journal = tmp_path / "journal.raw"
    run("mke2fs", "-q", "-t", "ext4", "-b", "4096", journal, "16M")
    debugfs(journal, "feature needs_recovery")
    for image, complaint in (
        (empty, "no ext4"),
        (inline, "features"),
        (clusters, "features"),
        (journal, "journal"),
    ):
        with ChainDisk(image) as disk, pytest.raises(Unsupported, match=complaint):
            walk(disk)


def test_a_clean_journal_is_no_hindrance(tmp_path: Path, small: Path) -> None:
    run("tune2fs", "-O", "has_journal", small)
    with ChainDisk(small) as disk:
        assert b"/file" in walk(disk)
