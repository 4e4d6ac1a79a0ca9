"""Entries of a diff as the values that are answered."""

from collections import Counter
from collections.abc import Iterable

from core.diff.entry import DiffEntry, DiffKind, FilesystemDiff
from core.diff.flags import lsattr
from core.diff.meta import Meta
from core.diff.result import Counts, FileDiff, FileState
from core.names import spelled


def shown(diff: FilesystemDiff) -> tuple[FileDiff, ...]:
    """What is told of each path that differs; no lines are counted."""
    return tuple(map(_entry, diff.entries))


def counted(entries: Iterable[FileDiff]) -> Counts:
    """How many there are of each kind."""
    counts = Counter(entry.kind for entry in entries)
    return Counts(
        *(counts[kind] for kind in (DiffKind.ADDED, DiffKind.REMOVED, DiffKind.MODIFIED, DiffKind.RENAMED))
    )


def text_and_hex(value: bytes) -> tuple[str, str | None]:
    """A name as text, and the exact bytes in hexadecimal when the text is not they."""
    text = spelled(value)
    return text, None if text.encode() == value else value.hex()


def _entry(entry: DiffEntry) -> FileDiff:
    path, path_hex = text_and_hex(entry.path)
    source, source_hex = _optional(entry.source)
    return FileDiff(
        path=path,
        path_hex=path_hex,
        kind=entry.kind,
        source=source,
        source_hex=source_hex,
        what=tuple(sorted(entry.what)),
        before=_meta(entry.before),
        after=_meta(entry.after),
    )


def _meta(meta: Meta | None) -> FileState | None:
    if meta is None:
        return None
    target, target_hex = _optional(meta.target)
    return FileState(
        type=meta.type,
        mode=f"{meta.mode:04o}",
        uid=meta.uid,
        gid=meta.gid,
        size=meta.size,
        mtime_ns=meta.mtime_ns,
        links=meta.links,
        inode=meta.inode,
        target=target,
        target_hex=target_hex,
        device=meta.device,
        xattrs={spelled(name): value.hex() for name, value in meta.xattrs} or None,
        flags=lsattr(meta.flags) if meta.flags else None,
        project=meta.project or None,
    )


def _optional(value: bytes | None) -> tuple[str | None, str | None]:
    return (None, None) if value is None else text_and_hex(value)
