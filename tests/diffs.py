"""Diffs as a daemon would answer them: for tests of what is made of one."""

from typing import Any

from msgspec.structs import replace

from core.diff.entry import DiffKind
from core.diff.meta import FileType
from core.diff.result import Diff, FileDiff, FileState
from core.diff.shape import counted

PLAIN = FileState(
    type=FileType.FILE, mode="0644", uid=0, gid=0, size=3, mtime_ns=0, links=1, inode=11
)  # a file as most are


def state(**changes: Any) -> FileState:
    """A plain file that is other in something."""
    return replace(PLAIN, **changes)


def file_diff(path: str, before: FileState | None, after: FileState | None, **more: Any) -> FileDiff:
    """A path of these two states."""
    kind = DiffKind.ADDED if before is None else DiffKind.REMOVED if after is None else DiffKind.MODIFIED
    return FileDiff(**{"path": path, "kind": kind, "what": (), "before": before, "after": after} | more)


def diff_of(*entries: FileDiff, notes: tuple[str, ...] = ()) -> Diff:
    """A diff of main and b1 with these entries."""
    return Diff(entries=entries, counts=counted(entries), fallbacks=0, a="main", b="b1", notes=notes)
