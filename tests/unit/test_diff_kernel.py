"""Against the kernel: what it wrote and saw on a loop-mounted overlay is what the diff must tell, no more, no less."""

import os
from pathlib import Path

import pytest

from core.diff.entry import Aspect, DiffEntry, DiffKind, FilesystemDiff
from core.diff.filesystem import diff_disks, walk
from core.diff.index import PathIndex
from core.diff.meta import FILE_TYPES, Meta
from core.disk.qcow2 import ChainDisk
from tests.conftest import full
from tests.unit.diff_images import MIB, Seen, kernel_mounts, make_image, make_overlay, on_kernel

pytestmark = pytest.mark.skipif(kernel_mounts() is not None, reason=str(kernel_mounts()))

SIZE_MIB = 64


@pytest.fixture
def base(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "folder" / "inner").mkdir(parents=True)
    for name in ("modified", "deleted", "renamed", "tool", "touched", "folder/inner/file"):
        (tree / name).write_text(f"this is {name}\n")
    (tree / "rewritten").write_text("same\n")
    (tree / "large").write_bytes(bytes(range(256)) * 4096)
    (tree / "link").symlink_to("somewhere")
    return make_image(tmp_path / "base.raw", tree, SIZE_MIB)


def overlay(tmp_path: Path, name: str) -> Path:
    return make_overlay(tmp_path / name, SIZE_MIB * MIB)


def kinds(diff: FilesystemDiff) -> dict[bytes, DiffKind]:
    return {entry.path: entry.kind for entry in diff.entries}


def test_exactly_what_was_done_is_listed(tmp_path: Path, base: Path) -> None:
    top = overlay(tmp_path, "top.qcow2")
    on_kernel(tmp_path, base, [top], "tour")
    with ChainDisk(base) as a, ChainDisk(base, [top]) as b:
        diff = diff_disks(a, b, PathIndex(a))
    assert kinds(diff) == {
        b"/created": DiffKind.ADDED,
        b"/deleted": DiffKind.REMOVED,
        b"/folder/moved": DiffKind.RENAMED,
        b"/link": DiffKind.MODIFIED,
        b"/modified": DiffKind.MODIFIED,
        b"/tool": DiffKind.MODIFIED,
    }
    entries = {entry.path: entry for entry in diff.entries}
    assert entries[b"/folder/moved"].source == b"/renamed"
    assert entries[b"/folder/moved"].what == frozenset()
    assert entries[b"/link"].what - {Aspect.MTIME} == {Aspect.TARGET}
    assert entries[b"/modified"].what == {Aspect.CONTENT, Aspect.MTIME}
    assert entries[b"/tool"].what == {Aspect.MODE}


@pytest.mark.parametrize("seed", range(50) if full() else [1, 4])
def test_random_histories_equal_what_the_kernel_saw(tmp_path: Path, base: Path, seed: int) -> None:
    first, second = overlay(tmp_path, "1.qcow2"), overlay(tmp_path, "2.qcow2")
    begin, middle = on_kernel(tmp_path, base, [first], "history", str(seed))
    _, end = on_kernel(tmp_path, base, [first, second], "history", str(seed + 1000))
    with ChainDisk(base) as root, ChainDisk(base, [first]) as a, ChainDisk(base, [first, second]) as b:
        index = PathIndex(root)
        assert_tells(diff_disks(root, a, index), begin, middle)
        assert_tells(diff_disks(a, b, index), middle, end)
        assert_tells(diff_disks(b, a, index), end, middle)
        assert diff_disks(a, b, index) == diff_disks(a, b)
        assert {path: as_seen(meta) for path, meta in walk(b).items()} == {
            path: bare(seen) for path, seen in end.items()
        }


def assert_tells(diff: FilesystemDiff, before: dict[bytes, Seen], after: dict[bytes, Seen]) -> None:
    added, removed, modified = set(), set(), set()
    for entry in diff.entries:
        removed |= {path for path in (entry.source, entry.path) if path in before and path not in after}
        added |= {entry.path} - before.keys()
        modified |= {entry.path} & before.keys() & after.keys()
        check(entry, before, after)
    changed = {path for path in before.keys() & after.keys() if differs(before[path], after[path])}
    assert (added, removed) == (after.keys() - before.keys(), before.keys() - after.keys())
    assert modified == changed


def check(entry: DiffEntry, before: dict[bytes, Seen], after: dict[bytes, Seen]) -> None:
    if entry.before:
        assert as_seen(entry.before) == bare(before[entry.source or entry.path])
    if entry.after:
        assert as_seen(entry.after) == bare(after[entry.path])
    if entry.before and entry.after and Aspect.TYPE not in entry.what:
        old, new = before[entry.source or entry.path], after[entry.path]
        assert (Aspect.CONTENT in entry.what) == (old.content != new.content or old.size != new.size)


def differs(old: Seen, new: Seen) -> bool:
    return old._replace(mtime_ns=0, links=0) != new._replace(mtime_ns=0, links=0)


def bare(seen: Seen) -> Seen:
    return seen._replace(content=None)


def as_seen(meta: Meta) -> Seen:
    kind = next(bits for bits, name in FILE_TYPES.items() if name is meta.type)
    return Seen(
        kind | meta.mode,
        meta.uid,
        meta.gid,
        meta.size,
        meta.links,
        os.makedev(*meta.device) if meta.device else 0,
        meta.mtime_ns,
        meta.target,
        None,
        tuple((os.fsdecode(name), value) for name, value in meta.xattrs),
    )
