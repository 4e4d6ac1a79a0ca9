"""The result of a comparison: one entry for each path that differs."""

from dataclasses import dataclass
from enum import StrEnum

from core.diff.meta import Meta


class DiffKind(StrEnum):
    """What became of a path."""

    ADDED = "added"
    REMOVED = "removed"
    MODIFIED = "modified"
    RENAMED = "renamed"


class Aspect(StrEnum):
    """In what a file differs. A change of mtime alone makes no entry unless it was asked for."""

    CONTENT = "content"
    SIZE = "size"
    MODE = "mode"
    OWNER = "owner"
    TARGET = "target"
    TYPE = "type"
    DEVICE = "device"
    XATTR = "xattr"
    FLAGS = "flags"
    PROJECT = "project"
    MTIME = "mtime"


@dataclass(frozen=True, slots=True)
class DiffEntry:
    """One path that differs. `before` is None for an added one, `after` for a removed one; a renamed one was at
    `source` before. `what` is empty unless both are there (and may be for a pure rename)."""

    path: bytes
    kind: DiffKind
    before: Meta | None
    after: Meta | None
    what: frozenset[Aspect] = frozenset()
    source: bytes | None = None


@dataclass(frozen=True, slots=True)
class FilesystemDiff:
    """All that differs, ordered by path."""

    entries: tuple[DiffEntry, ...]
