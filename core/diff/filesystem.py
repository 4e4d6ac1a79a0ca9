"""What differs between the filesystems of two disks, exactly, at the cost of what differs.

How. The blocks that differ name the inodes that may differ (their records, data, trees or attributes lie there);
all others are the same on both disks. Two directories that differ give the names that were taken away and added;
whatever lies below such a name is removed from, or added to, that place. Every other path leads through the same
inodes on both disks, so it differs only if its own inode does.
"""

from typing import TypeVar

import numpy as np

from core.diff.compare import Loaded, Sides
from core.diff.directories import Names, read_names
from core.diff.entry import FilesystemDiff
from core.diff.ext4 import Volume
from core.diff.index import PathBudget, PathIndex
from core.diff.inodes import ROOT_INODE
from core.diff.meta import FileType, Meta
from core.diff.renames import pair_renames
from core.disk.blocks import Blocks, Disk
from core.errors import NotFound, Unsupported, UsageError
from core.names import spelled
from core.progress import Begin, uncounted

FINDING = "finding files"
DiskT = TypeVar("DiskT", bound=Disk)


def diff_disks(
    a: DiskT,
    b: DiskT,
    index: PathIndex | None = None,
    *,
    times: bool = False,
    renames: bool = True,
    begin: Begin = uncounted,
) -> FilesystemDiff:
    """What differs on `b` from `a`, two states of one filesystem.

    With `times` files that differ in their time of last change alone are told too; without `renames` a moved file
    is one removed and one added.

    `index` is that of the image both come from (or of `a` itself); without one, `a` is walked first. Both disks
    must hold whole filesystems: taken quiesced or synced. Raises Unsupported for filesystems that are not two
    states of one, or not ext4 as vertui makes it; Damaged for one that contradicts itself. It tells by `begin` how
    many files were found, and then how many of how many were read and compared.
    """
    before = index_of(a, index, begin)
    volume = Volume(b)
    changed = _changed(before.volume, volume)
    touched = before.touched(volume, changed)
    sides = Sides(before, before.advanced(volume, touched, begin(FINDING)), changed)
    entries = sides.compare(touched, times=times, begin=begin)
    return FilesystemDiff(pair_renames(sides, entries) if renames else tuple(entries))


def index_of(disk: Disk, base: PathIndex | None, begin: Begin = uncounted) -> PathIndex:
    """The index of `disk`, from that of the image it comes from if there is one."""
    if base is None:
        return PathIndex(disk, begin(FINDING))
    volume = Volume(disk)
    changed = _changed(base.volume, volume)
    if not len(changed):
        return base
    return base.advanced(volume, base.touched(volume, changed), begin(FINDING))


def _changed(a: Volume, b: Volume) -> Blocks:
    """The filesystem blocks that may differ between two states of one filesystem."""
    if not a.same_layout(b):
        raise Unsupported(f"disks {a.disk.name} and {b.disk.name} do not come from one image")
    return a.filesystem_blocks(a.disk.changed_blocks(b.disk))


def walk(disk: Disk) -> dict[bytes, Meta]:
    """Every path on a disk."""
    index = PathIndex(disk)
    paths: dict[bytes, int] = {}
    index.below(b"/", ROOT_INODE, paths, PathBudget(disk.name))
    metas = Loaded.of(index.volume, paths.values()).metas
    return {path: metas[inode] for path, inode in paths.items()}


def read_file(disk: Disk, path: bytes, limit_bytes: int) -> bytes:
    """The first `limit_bytes` bytes of the regular file at an absolute path; symlinks are not followed."""
    volume = Volume(disk)
    inode = inode_at(volume, path)
    loaded = Loaded.of(volume, [inode])
    if loaded.metas[inode].type is not FileType.FILE:
        raise UsageError(f"{spelled(path)} is not a regular file")
    return loaded.content(loaded.metas[inode]).read(limit_bytes)


def names_at(volume: Volume, path: bytes) -> Names | None:
    """The entries of the directory at an absolute path; None when there is none."""
    try:
        inode = inode_at(volume, path)
    except NotFound:
        return None
    return read_names(volume, volume.inodes(np.array([inode]))).get(inode)


def is_there(volume: Volume, path: bytes) -> bool:
    """Does an absolute path lead to anything?"""
    try:
        inode_at(volume, path)
    except NotFound:
        return False
    return True


def inode_at(volume: Volume, path: bytes) -> int:
    """The inode an absolute path leads to, symlinks not followed; NotFound when none does."""
    inode = ROOT_INODE
    for part in filter(None, path.split(b"/")):
        names = read_names(volume, volume.inodes(np.array([inode]))).get(inode, {})
        if part not in names:
            raise NotFound(f"no file {spelled(path)} on {volume.disk.name}")
        inode = names[part]
    return inode
