"""Whole patches: applied by git to the state before, they give the state after, or say what they leave out."""

# The names are bytes that pathlib cannot hold.
# ruff: noqa: PTH101, PTH103, PTH113, PTH114, PTH115, PTH116, PTH118, PTH120, PTH123, PTH211

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.diff.carry import is_in_git, is_refused, quoted
from core.diff.compare import Loaded
from core.diff.content import Content
from core.diff.entry import Aspect, DiffEntry, FilesystemDiff
from core.diff.ext4 import Volume
from core.diff.filesystem import diff_disks, walk
from core.diff.meta import FileType, Meta
from core.diff.text import patch
from core.disk.blocks import Disk
from core.disk.qcow2 import ChainDisk
from tests.conftest import full
from tests.unit.diff_images import (
    MIB,
    copy_sparse,
    debugfs,
    kernel_mounts,
    make_image,
    make_overlay,
    on_kernel,
)

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")

Blocks = dict[int, bytes]
"""A file by the blocks that are not all zeros, its size under -1: some are a gigabyte of nothing."""

Tree = dict[bytes, tuple[bytes, Blocks | bytes]]
"""Path to mode and content, or target, as git has them."""


def git_tree(disk: Disk) -> Tree:
    """What of a disk a checkout can hold."""
    metas = walk(disk)
    loaded = Loaded.of(Volume(disk), {meta.inode for meta in metas.values()})
    tree: Tree = {}
    for path, meta in metas.items():
        name = path.lstrip(b"/")
        if is_in_git(meta) and not is_refused(name, meta):
            content = blocks_of(loaded.content(meta)) if meta.target is None else meta.target
            tree[name] = git_mode(meta), content
    return tree


def blocks_of(content: Content) -> Blocks:
    blocks = {-1: str(content.size).encode()}
    for numbers, rows in content.stored():
        blocks.update((number, row.tobytes()) for number, row in zip(numbers.tolist(), rows, strict=True))
    return blocks


def read_blocks(path: bytes) -> Blocks:
    size = os.stat(path).st_size
    blocks = {-1: str(size).encode()}
    with open(path, "rb") as file:
        at = 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA) // 4096 * 4096
            except OSError:  # nothing but a hole up to the end
                break
            block = os.pread(file.fileno(), 4096, at)
            if block.strip(b"\0"):
                blocks[at // 4096] = block.ljust(4096, b"\0")
            at += 4096
    return blocks


def write_blocks(path: bytes, blocks: Blocks) -> None:
    with open(path, "xb") as file:
        for number in sorted(blocks.keys() - {-1}):
            file.seek(number * 4096)
            file.write(blocks[number])
        file.truncate(int(blocks[-1]))


def git_mode(meta: Meta) -> bytes:
    if meta.type is FileType.SYMLINK:
        return b"120000"
    return b"100755" if meta.mode & 0o100 else b"100644"


def check_out(tree: Tree, root: bytes) -> None:
    for name, (mode, content) in tree.items():
        path = root + b"/" + name
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if isinstance(content, bytes):
            os.symlink(content, path)
        else:
            write_blocks(path, content)
            os.chmod(path, 0o755 if mode == b"100755" else 0o644)


def checked_out(root: bytes) -> Tree:
    tree: Tree = {}
    for directory, folders, files in os.walk(root):
        for name in files + folders:
            path = os.path.join(directory, name)
            if os.path.islink(path):
                tree[path[len(root) + 1 :]] = b"120000", os.readlink(path)
            elif os.path.isfile(path):
                mode = b"100755" if os.stat(path).st_mode & 0o100 else b"100644"
                tree[path[len(root) + 1 :]] = mode, read_blocks(path)
    return tree


def apply_and_compare(work: Path, a: ChainDisk, b: ChainDisk) -> list[bytes]:
    """Apply the patch to a checkout of `a`; what is there must be `b`. The remarks."""
    diff = diff_disks(a, b)
    text = b"".join(patch(diff, a, b, whole=True))
    root = os.fsencode(work / "checkout")
    os.makedirs(root)
    before, after = git_tree(a), git_tree(b)
    check_out(before, root)
    lines = text.split(b"\n")
    assert b"Binary files" not in text
    if any(not line.startswith(b"#") for line in lines if line):
        done = subprocess.run(
            ["git", "apply", "--whitespace=nowarn", "-"], cwd=root, input=text, capture_output=True
        )
        assert done.returncode == 0, done.stderr[:2000]
    large = set(too_large(diff, lines))
    tree = checked_out(root)
    assert {name: tree[name] for name in tree.keys() - large} == {
        name: after[name] for name in after.keys() - large
    }
    assert {name: before.get(name) for name in large} == {name: tree.get(name) for name in large}
    remarks = [line for line in lines if line.startswith(b"#")]
    assert_said(diff, remarks)
    return remarks


def too_large(diff: FilesystemDiff, lines: list[bytes]) -> Iterator[bytes]:
    """Names of files the patch says it cannot hold: these stay as they are in the checkout."""
    large = set[bytes]()
    for entry in diff.entries:
        if b"# %s: too large for a patch beside the others" % quoted(entry.path) in lines:
            size = sum(meta.size for meta in (entry.before, entry.after) if meta)
            assert size > 32 * MIB or entry.path.rpartition(b"/")[0] in large
            large.add(entry.path)
            yield from (path.lstrip(b"/") for path in (entry.path, entry.source) if path)


def assert_said(diff: FilesystemDiff, remarks: list[bytes]) -> None:
    """Whatever git cannot carry of an entry has a remark that names it."""
    together = b"\n".join(remarks)
    for entry in diff.entries:
        if any(cannot(entry)):
            assert quoted(entry.path) in together, entry


def cannot(entry: DiffEntry) -> Iterator[bool]:
    yield bool(entry.what & {Aspect.OWNER, Aspect.XATTR, Aspect.DEVICE})
    yield bool(entry.after and not entry.before and entry.after.type not in (FileType.DIRECTORY, FileType.SOCKET)
               and not is_in_git(entry.after))  # fmt: skip
    fresh = entry.after if entry.before is None else None
    yield bool(fresh and (fresh.xattrs or (fresh.uid, fresh.gid) != (0, 0)))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "folder" / "inner").mkdir(parents=True)
    (tree / "text").write_text("".join(f"line {number}\n" for number in range(300)))
    (tree / "binary").write_bytes(os.urandom(70_000))
    (tree / "folder" / "large").write_text("a long text\n" * 120_000)
    (tree / "folder" / "inner" / "only").write_text("x\n")
    (tree / "link").symlink_to("text")
    return make_image(tmp_path / "base.raw", tree, 64)


@pytest.mark.skipif(kernel_mounts() is not None, reason=str(kernel_mounts()))
@pytest.mark.parametrize("seed", range(30 if full() else 3))
def test_random_histories_leave_by_patch(tmp_path: Path, base: Path, seed: int) -> None:
    first, second = (make_overlay(tmp_path / name, 64 * MIB) for name in ("1.qcow2", "2.qcow2"))
    on_kernel(tmp_path, base, [first], "history", str(seed + 100))
    on_kernel(tmp_path, base, [first, second], "history", str(seed + 200))
    with ChainDisk(base, [first]) as a, ChainDisk(base, [first, second]) as b:
        apply_and_compare(tmp_path, a, b)


def test_binary_and_large_files_are_in_it(tmp_path: Path, base: Path) -> None:
    new = copy_sparse(base, tmp_path / "new.raw")
    (tmp_path / "large").write_text("a long text\n" * 120_001)
    (tmp_path / "binary").write_bytes(os.urandom(53) + bytes(100))
    for name in ("large", "binary"):
        debugfs(new, f"rm {'folder/' * (name == 'large')}{name}")
    debugfs(new, f"write {tmp_path}/large folder/large", f"write {tmp_path}/binary other-binary")
    debugfs(new, "rm folder/inner/only", "set_inode_field text mode 0100755")
    with ChainDisk(base) as a, ChainDisk(new) as b:
        assert apply_and_compare(tmp_path, a, b) == [b"# +/folder/inner: directory"]


def test_what_git_cannot_hold_is_left_out_and_said(tmp_path: Path, base: Path) -> None:
    """Files of more than four times their disk, one with a directory in its place, and all that fits beside them."""
    for name, size_mib in (("a", 300), ("b", 120), ("c", 100), ("file", 0)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size_mib * MIB)
    old = copy_sparse(base, tmp_path / "old.raw")
    debugfs(old, *(f"write {tmp_path}/{name} {name}" for name in "abc"))
    new = copy_sparse(old, tmp_path / "new.raw")
    debugfs(new, "rm a", "mkdir a", f"write {tmp_path}/file a/file", "set_inode_field b mode 0100755")
    debugfs(new, f"write {tmp_path}/file new", "sif new mode 0100644", "sif a/file mode 0100644", "rm c")
    with ChainDisk(old) as a, ChainDisk(new) as b:
        remarks = apply_and_compare(tmp_path, a, b)
    assert remarks == [
        b"# %s: too large for a patch beside the others" % path for path in (b"/a", b"/a/file", b"/c")
    ]


def test_a_directory_whose_name_ends_with_a_space(tmp_path: Path, base: Path) -> None:
    new = copy_sparse(base, tmp_path / "new.raw")
    debugfs(new, 'mkdir "odd "', 'write /dev/null "odd /empty"', 'sif "odd /empty" mode 0100644')
    with ChainDisk(base) as a, ChainDisk(new) as b:
        assert apply_and_compare(tmp_path, a, b) == []


def test_what_git_refuses_is_left_out_and_said(tmp_path: Path, base: Path) -> None:
    new = copy_sparse(base, tmp_path / "new.raw")
    (tmp_path / "file").write_text("file\n")
    names = ["x/.git/config", "x/.GIT", "x/git~1", "x/fine.git", "x/.gitignore"]
    debugfs(new, "mkdir x", "mkdir x/.git", *(f"write {tmp_path}/file {name}" for name in names))
    debugfs(new, "symlink x/.gitmodules elsewhere", *(f"sif {name} mode 0100644" for name in names))
    with ChainDisk(base) as a, ChainDisk(new) as b:
        remarks = apply_and_compare(tmp_path, a, b)
    refused = [line.split(b": ")[0][2:] for line in remarks if b"refuses" in line]
    assert refused == [b"/x/.GIT", b"/x/.git/config", b"/x/.gitmodules", b"/x/git~1"]
