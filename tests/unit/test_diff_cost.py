"""What a diff reads grows with the changes, not with the tree."""

from pathlib import Path

import psutil

from core.diff.entry import DiffKind
from core.diff.filesystem import diff_disks
from core.diff.index import PathIndex
from core.disk.qcow2 import ChainDisk
from tests.conftest import full
from tests.unit.diff_images import copy_sparse, debugfs, make_image, make_overlay, run

FEW, MANY = (2_000, 20_000) if full() else (400, 4_000)
CHANGED = 20
A_DIRECTORY = 50


def read_so_far() -> int:
    """Bytes this process asked the kernel for, whether or not the page cache had them."""
    return psutil.Process().io_counters().read_chars


def bytes_read(work: Path, files: int) -> int:
    """By a diff of an image with so many files, a few of them changed, its path index known."""
    tree = work / "tree"
    for number in range(files):
        path = tree / f"d{number // A_DIRECTORY}" / f"file-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}\n" * 100)
    old = make_image(work / "old.raw", tree, 16 + files // 100, "-b", "4096", "-N", str(files * 2))
    new = copy_sparse(old, work / "new.raw")
    (work / "text").write_text("changed\n")
    names = [f"d{number}/file-{number * A_DIRECTORY}" for number in range(FEW // A_DIRECTORY)][:CHANGED]
    debugfs(new, *(line for name in names for line in (f"rm {name}", f"write {work}/text {name}")))
    overlay = as_overlay(old, new)
    with ChainDisk(old) as a, ChainDisk(old, [overlay]) as b:
        index = PathIndex(a)
        before = read_so_far()
        diff = diff_disks(a, b, index)
        count = read_so_far() - before
    kinds = {entry.path.decode(): entry.kind for entry in diff.entries}
    assert kinds == {f"/{name}": DiffKind.MODIFIED for name in names}
    return count


def as_overlay(old: Path, new: Path) -> Path:
    """The blocks of `new` that `old` has not: qemu-img copies them when the backing file changes."""
    overlay = make_overlay(old.with_name("overlay.qcow2"), old.stat().st_size)
    run("qemu-img", "rebase", "-u", "-b", new, "-F", "raw", overlay)
    run("qemu-img", "rebase", "-b", old, "-F", "raw", overlay)
    run("qemu-img", "rebase", "-u", "-b", "", overlay)
    return overlay


def test_bytes_read_follow_the_changes(tmp_path: Path) -> None:
    counts = []
    for files in (FEW, MANY):
        work = tmp_path / str(files)
        work.mkdir()
        counts.append(bytes_read(work, files))
    assert counts[1] < 2 * counts[0]
    assert counts[1] < 200 * 4096 * CHANGED
