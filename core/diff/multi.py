"""Several siblings against what they all come from: which paths differ in any, and which changes are the same."""

from collections.abc import Sequence
from typing import TypeVar

from core.diff.compare import Loaded
from core.diff.entry import DiffEntry, DiffKind, FilesystemDiff
from core.diff.ext4 import Volume
from core.diff.filesystem import diff_disks, index_of
from core.diff.index import PathIndex
from core.diff.meta import FileType, Meta
from core.diff.result import SiblingChange, SiblingRow
from core.diff.select import PathFilter
from core.diff.shape import text_and_hex
from core.disk.blocks import Disk

DiskT = TypeVar("DiskT", bound=Disk)
Outcome = tuple[object, ...]
"""What a path is after a change, equal for equal changes."""
Cell = tuple[DiffKind, Outcome, int]
"""What one sibling did to a path, and how many bytes larger it is for that."""


def matrix(
    base: DiskT,
    siblings: Sequence[DiskT],
    index: PathIndex | None,
    wanted: PathFilter,
    *,
    times: bool = False,
) -> tuple[SiblingRow, ...]:
    """The paths in which any sibling differs from `base`, ordered; equal numbers in a row are equal outcomes."""
    known = index_of(base, index)
    columns: list[dict[bytes, Cell]] = [
        _outcomes(base, sibling, known, wanted, times) for sibling in siblings
    ]
    paths = sorted({path for column in columns for path in column})
    return tuple(_row(path, [column.get(path) for column in columns]) for path in paths)


def _outcomes(
    base: DiskT, sibling: DiskT, index: PathIndex, wanted: PathFilter, times: bool
) -> dict[bytes, Cell]:
    diff: FilesystemDiff = wanted.of(diff_disks(base, sibling, index, times=times, renames=False))
    loaded = Loaded.of(Volume(sibling), [entry.after.inode for entry in diff.entries if entry.after])
    return {entry.path: (entry.kind, _outcome(entry, loaded, times), _grown(entry)) for entry in diff.entries}


def _grown(entry: DiffEntry) -> int:
    before, after = (meta.size if meta else 0 for meta in (entry.before, entry.after))
    return after - before


def _outcome(entry: DiffEntry, loaded: Loaded, times: bool) -> Outcome:
    meta: Meta | None = entry.after
    if meta is None:
        return ()
    content = loaded.content(meta).digest() if meta.type is FileType.FILE else b""
    when = meta.mtime_ns if times else 0
    rights = (meta.mode, meta.uid, meta.gid, meta.xattrs, meta.flags, meta.project)
    return meta.type, rights, meta.target, meta.device, content, when


def _row(path: bytes, cells: Sequence[Cell | None]) -> SiblingRow:
    text, exact = text_and_hex(path)
    numbers: dict[Outcome, int] = {}
    changes = (
        cell and SiblingChange(cell[0], numbers.setdefault(cell[1], len(numbers) + 1), cell[2])
        for cell in cells
    )
    return SiblingRow(path=text, path_hex=exact, cells=tuple(changes))
