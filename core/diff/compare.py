"""Two states of one filesystem, side by side: which paths differ, and in what."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from core.diff.content import Content, same_content
from core.diff.directories import Names
from core.diff.entry import Aspect, DiffEntry, DiffKind
from core.diff.ext4 import Inodes, Volume
from core.diff.index import PathBudget, PathIndex
from core.diff.meta import FileType, Meta
from core.diff.stat import read_metas
from core.disk.blocks import Blocks
from core.progress import Begin, Told, along, nobody, uncounted


class Sides:
    """Two states of one filesystem, with what comparing them needs."""

    def __init__(self, before: PathIndex, after: PathIndex, changed: Blocks) -> None:
        self.before = before
        self.after = after
        self._changed = changed
        self._loaded: dict[bool, Loaded] = {}

    def compare(self, touched: Blocks, *, times: bool = False, begin: Begin = uncounted) -> list[DiffEntry]:
        """Every path that differs, renames still as removed and added, ordered by path; with `times` also those
        that differ in nothing but the time of their last change."""
        removed, added = self._moved(touched)
        stayed: dict[bytes, int] = {}
        for inode in touched.tolist():
            stayed.update((path, inode) for path in self.after.paths(inode) if path not in added)
        self._load(removed, added, stayed, begin("reading files"))
        moved = ((path, removed.get(path), added.get(path)) for path in removed.keys() | added.keys())
        pairs = [*((path, inode, inode) for path, inode in stayed.items()), *moved]
        entries = [self._compare(*pair) for pair in along(pairs, begin("comparing files"))]
        silent = frozenset() if times else frozenset({Aspect.MTIME})
        shown = (entry for entry in entries if entry.kind is not DiffKind.MODIFIED or entry.what - silent)
        return sorted(shown, key=lambda entry: entry.path)

    def _moved(self, touched: Blocks) -> tuple[dict[bytes, int], dict[bytes, int]]:
        """Paths that lead elsewhere on the other disk, or nowhere: those of `before`, and those of `after`."""
        removed: dict[bytes, int] = {}
        added: dict[bytes, int] = {}
        for index, other, elsewhere in ((self.before, self.after, removed), (self.after, self.before, added)):
            budget = PathBudget(index.disk.name)
            for directory, names in _rebound(index, other, touched):
                if directory[:-1] not in elsewhere:  # else it lies below one that was listed whole
                    for name, inode in names.items():
                        index.below(directory + name, inode, elsewhere, budget)
        return removed, added

    def _load(
        self, removed: dict[bytes, int], added: dict[bytes, int], stayed: dict[bytes, int], told: Told
    ) -> None:
        old, new = (
            np.unique([*side.values(), *stayed.values()]).astype(np.int64) for side in (removed, added)
        )
        total = len(old) + len(new)
        self._loaded[False] = Loaded.of(self.before.volume, old, lambda done, _: told(done, total))
        self._loaded[True] = Loaded.of(self.after.volume, new, lambda done, _: told(len(old) + done, total))

    def content(self, after: bool, meta: Meta) -> Content:
        """The bytes of a regular file of either side."""
        return self._loaded[after].content(meta)

    def _compare(self, path: bytes, old: int | None, new: int | None) -> DiffEntry:
        before = self._loaded[False].metas[old] if old is not None else None
        after = self._loaded[True].metas[new] if new is not None else None
        if before is None or after is None:
            return DiffEntry(path, DiffKind.REMOVED if after is None else DiffKind.ADDED, before, after)
        return DiffEntry(path, DiffKind.MODIFIED, before, after, self.differences(before, after))

    def differences(self, before: Meta, after: Meta) -> frozenset[Aspect]:
        """In what two files differ, bytes included."""
        aspects = meta_differences(before, after)
        if before.type is after.type is FileType.FILE and not same_content(
            self.content(False, before), self.content(True, after), self._changed
        ):
            aspects.add(Aspect.CONTENT)
        return frozenset(aspects)


def _rebound(index: PathIndex, other: PathIndex, touched: Blocks) -> list[tuple[bytes, Names]]:
    """Directories with the names that lead elsewhere, or nowhere, by the other index; parents first."""
    rebound = []
    for inode in touched.tolist():
        names, theirs = index.names(inode) or {}, other.names(inode) or {}
        gone = {name: child for name, child in names.items() if theirs.get(name) != child}
        if gone and (path := index.directory_path(inode)) is not None:
            rebound.append((path, gone))
    return sorted(rebound, key=lambda pair: pair[0])


def meta_differences(before: Meta, after: Meta) -> set[Aspect]:
    """In what two files differ besides the bytes of regular ones."""
    if before.type is not after.type:
        return {Aspect.TYPE}
    pairs = {
        Aspect.MODE: (before.mode, after.mode),
        Aspect.OWNER: ((before.uid, before.gid), (after.uid, after.gid)),
        Aspect.TARGET: (before.target, after.target),
        Aspect.DEVICE: (before.device, after.device),
        Aspect.XATTR: (before.xattrs, after.xattrs),
        Aspect.FLAGS: (before.flags, after.flags),
        Aspect.PROJECT: (before.project, after.project),
    }
    if before.type is FileType.FILE:
        pairs[Aspect.SIZE] = (before.size, after.size)
    if before.type is not FileType.DIRECTORY:
        pairs[Aspect.MTIME] = (before.mtime_ns, after.mtime_ns)
    return {change for change, (old, new) in pairs.items() if old != new}


@dataclass(frozen=True, slots=True)
class Loaded:
    """Some inodes of a volume with all that is known of them."""

    volume: Volume
    inodes: Inodes
    metas: dict[int, Meta]

    @classmethod
    def of(cls, volume: Volume, numbers: Iterable[int], told: Told = nobody) -> "Loaded":
        """Read these inodes."""
        inodes = volume.inodes(np.unique(np.fromiter(numbers, dtype=np.int64)))
        return cls(volume, inodes, read_metas(volume, inodes, told))

    def content(self, meta: Meta) -> Content:
        """The bytes of a regular file among them."""
        return Content(self.volume, self.inodes.extents.of(meta.inode), meta.size)
