"""Trees out of disks that lie: nothing is written outside the directory, whatever a disk says."""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.diff.archive import archive
from core.diff.entry import Aspect
from core.diff.filesystem import diff_disks
from core.diff.index import PathIndex
from core.diff.text import changed_lines, patch
from core.disk.qcow2 import ChainDisk
from core.errors import Damaged, GuestFailed, NotFound, VertuiError
from tests.unit.diff_images import copy_sparse, debugfs, make_image
from vertui.unpack import Unpacked, unpack

SECRET = "not to be overwritten"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "folder").mkdir(parents=True)
    (tree / "aa_evil").write_text("evil\n")
    (tree / "folder" / "file").write_text("file\n")
    return make_image(tmp_path / "image.raw", tree, 16, "-b", "4096", "-O", "^metadata_csum")


def exported(image: Path, path: bytes = b"/") -> bytes:
    with ChainDisk(image) as disk:
        return b"".join(archive(disk, path, PathIndex(disk), attributes=False))


def outside(root: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(root.iterdir()):
        if path.name != "out":
            yield path.name, path.read_text()


def unpacked(tmp_path: Path, image: Path) -> Unpacked:
    """Export and unpack beside a file that must stay as it is."""
    around = tmp_path / "around"
    (around / "out").mkdir(parents=True)
    (around / "secret").write_text(SECRET)
    try:
        return unpack(io.BytesIO(exported(image)), around / "out")
    finally:
        assert list(outside(around)) == [("secret", SECRET)]


@pytest.mark.parametrize("target", ["..", "../..", "/", "/etc", "folder/../..", "./../secret"])
def test_links_that_lead_out_are_left_out(tmp_path: Path, image: Path, target: str) -> None:
    debugfs(image, f"symlink way {target}", "symlink folder/way ../aa_evil")
    found = unpacked(tmp_path, image)
    assert found.skipped == [b"way"]
    assert (tmp_path / "around" / "out" / "folder" / "way").read_text() == "evil\n"


def test_a_file_below_a_link_that_leads_out(tmp_path: Path, image: Path) -> None:
    """The directory the guest has, where a link of that name stands here already."""
    (tmp_path / "around" / "out").mkdir(parents=True)
    (tmp_path / "around" / "secret").write_text(SECRET)
    (tmp_path / "around" / "out" / "folder").symlink_to(tmp_path / "around")
    with pytest.raises(VertuiError, match="a link or file stands"):
        unpack(io.BytesIO(exported(image)), tmp_path / "around" / "out")
    assert (tmp_path / "around" / "secret").read_text() == SECRET
    assert not (tmp_path / "around" / "file").exists()


@pytest.mark.parametrize("name", [b"../evil", b"..//evi", b"/etc/ev", b"a\0_evil"])
def test_names_that_are_paths_are_damage(tmp_path: Path, image: Path, name: bytes) -> None:
    data = image.read_bytes()
    assert data.count(b"aa_evil") == 1
    image.write_bytes(data.replace(b"aa_evil", name[:7]))
    with pytest.raises(Damaged, match="directory inode"):
        unpacked(tmp_path, image)


def test_devices_are_in_the_tar_alone(tmp_path: Path, image: Path) -> None:
    debugfs(image, "mknod sda b 8 0", "cd folder", "mknod pipe p")
    found = unpacked(tmp_path, image)
    assert sorted(found.skipped) == [b"folder/pipe", b"sda"]
    with tarfile.open(fileobj=io.BytesIO(exported(image))) as tar:
        assert tar.getmember("./sda").isblk() and tar.getmember("./folder/pipe").isfifo()


def test_set_id_bits_and_owners_do_not_come_out(tmp_path: Path, image: Path) -> None:
    debugfs(image, "sif aa_evil mode 0106777", "sif aa_evil uid 12345")
    unpacked(tmp_path, image)
    facts = (tmp_path / "around" / "out" / "aa_evil").stat()
    assert facts.st_mode & 0o7022 == 0 and facts.st_uid != 12345


@pytest.mark.parametrize("size", ["0x1000000000000000", "0x100000000001"])
def test_a_file_larger_than_any_filesystem_holds_is_refused_at_once(
    tmp_path: Path, image: Path, size: str
) -> None:
    debugfs(image, f"sif folder/file size {size}")
    with pytest.raises(Damaged):
        unpacked(tmp_path, image)


@pytest.mark.parametrize("size", [60 << 30, 9 << 40])
def test_a_file_may_be_larger_than_its_disk(tmp_path: Path, image: Path, size: int) -> None:
    """What counts is what is stored: a tar for others, a diff and a tree here cost next to nothing."""
    huge = copy_sparse(image, tmp_path / "huge.raw")
    debugfs(huge, f"sif folder/file size {size}", 'ea_set folder/file user.note "kept"')
    with ChainDisk(huge) as disk, ChainDisk(image) as old:
        told = diff_disks(old, disk)
        assert [(entry.path, entry.what) for entry in told.entries] == [
            (b"/folder/file", frozenset({Aspect.CONTENT, Aspect.SIZE, Aspect.XATTR}))
        ]
        assert b"too large" in b"".join(patch(told, old, disk, whole=True))
        assert b"too large to show" in b"".join(patch(told, old, disk))
        assert changed_lines(told, old, disk) == [None]
        tar = b"".join(archive(disk, b"/", PathIndex(disk)))
    assert len(tar) < 64 << 10
    unpacked(tmp_path, huge)
    out = tmp_path / "around" / "out" / "folder" / "file"
    assert (out.stat().st_size, out.stat().st_blocks) == (size, 8)
    other = tmp_path / "other"
    other.mkdir()
    subprocess.run(["tar", "-xf", "-", "-C", other, "--xattrs"], input=tar, check=True)
    copied = other / "folder" / "file"
    assert (copied.stat().st_size, copied.stat().st_blocks) == (size, 8)
    with out.open("rb") as one, copied.open("rb") as two:
        assert one.read(5000) == two.read(5000) == b"file\n".ljust(5000, b"\0")
    with tarfile.open(fileobj=io.BytesIO(tar)) as read:
        assert read.getmember("./folder/file").size == size


def test_one_file_alone_and_one_that_is_not_there(image: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(exported(image, b"/folder/file"))) as tar:
        assert tar.getnames() == ["file"]
    with pytest.raises(NotFound, match="no file"):
        exported(image, b"/folder/nothing")


def test_names_that_are_no_text_come_out_as_they_are(tmp_path: Path, image: Path) -> None:
    data = image.read_bytes()
    image.write_bytes(data.replace(b"aa_evil", b"a\xff\n\xfe vi"))
    unpacked(tmp_path, image)
    names = {os.fsencode(path.name) for path in (tmp_path / "around" / "out").iterdir()}
    assert b"a\xff\n\xfe vi" in names


def test_holes_stay_holes(tmp_path: Path, image: Path) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.seek(3 << 20)
        file.write(b"end")
        file.truncate(12 << 20)
    debugfs(image, f"write {sparse} sparse")
    unpacked(tmp_path, image)
    out = tmp_path / "around" / "out" / "sparse"
    assert out.read_bytes() == sparse.read_bytes()
    assert out.stat().st_blocks * 512 < 1 << 20


def test_a_stream_cut_off_is_no_tree(tmp_path: Path, image: Path) -> None:
    data = exported(image, b"/aa_evil")
    (tmp_path / "out").mkdir()
    with pytest.raises(GuestFailed):
        unpack(io.BytesIO(data[:514]), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_attributes_of_any_name_and_times_to_the_nanosecond(tmp_path: Path, image: Path) -> None:
    debugfs(
        image, 'ea_set aa_evil user.aa_attr "kept"', "sif aa_evil mtime_extra 0x1c", "sif aa_evil mtime 7"
    )
    data = image.read_bytes()
    assert data.count(b"aa_attr") == 1
    image.write_bytes(data.replace(b"aa_attr", b"\xff=%\xe9 =\n"))
    with ChainDisk(image) as disk:
        tar = b"".join(archive(disk, b"/aa_evil", PathIndex(disk)))
    assert b"SCHILY.xattr.user.\xff%3D%25\xe9 %3D\n=kept\n" in tar
    assert b"mtime=7.000000007\n" in tar
    subprocess.run(["tar", "-xf", "-", "-C", tmp_path, "--xattrs"], input=tar, check=True)
    out = tmp_path / "aa_evil"
    assert out.stat().st_mtime_ns == 7_000_000_007
    assert os.getxattr(out, b"user.\xff=%\xe9 =\n") == b"kept"


def test_holes_of_a_file_with_a_long_name(tmp_path: Path, image: Path) -> None:
    """No reader takes the placeholder's name, or the data's map for data."""
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.seek(1 << 20)
        file.write(b"end")
    name = "ö" * 120
    debugfs(image, f"write {sparse} {name}", f"ea_set {name} user.note kept")
    with ChainDisk(image) as disk:
        tar = b"".join(archive(disk, b"/", PathIndex(disk)))
    with tarfile.open(fileobj=io.BytesIO(tar)) as read:
        member = read.getmember(f"./{name}")
        content = read.extractfile(member)
        assert member.size == sparse.stat().st_size and content and content.read() == sparse.read_bytes()
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["tar", "-xf", "-", "-C", out, "--xattrs"], input=tar, check=True)
    assert (out / name).read_bytes() == sparse.read_bytes()
    assert sorted(path.name for path in out.iterdir()) == ["aa_evil", "folder", "lost+found", name]
