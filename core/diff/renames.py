"""Which removed and added paths are one file that moved.

A file moved if its inode did; an inode number reused by a later file is told apart by generation and birth. A
regular file also counts as moved when an added one has the very bytes of a removed one, as in git.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable

from blake3 import blake3

from core.diff.compare import Sides
from core.diff.entry import Aspect, DiffEntry, DiffKind
from core.diff.meta import FileType, Meta

_MAX_HASHED_BYTES = 8 << 20  # larger files are matched by inode only
_MAX_HASHED_TOTAL = 256 << 20

Key = Callable[[bytes, Meta, bool], Hashable]
"""(path, meta, on the later side) → equal for what may be one file, None for what is not to be paired."""


def pair_renames(sides: Sides, entries: list[DiffEntry]) -> tuple[DiffEntry, ...]:
    """The entries with each moved file's removal and addition made one, ordered by path."""
    entries = _pair(sides, entries, lambda _, meta, __: (meta.inode, meta.birth, meta.type))
    digests = _Digests(sides, entries)
    entries = _pair(sides, entries, digests.with_name)
    return tuple(sorted(_pair(sides, entries, digests.alone), key=lambda entry: entry.path))


class _Digests:
    """Content keys of the files that could pair up: those whose size stands on both sides."""

    def __init__(self, sides: Sides, entries: Iterable[DiffEntry]) -> None:
        self._sides = sides
        self._found: dict[tuple[int, bool], bytes | None] = {}
        self._left_bytes = _MAX_HASHED_TOTAL
        sizes: dict[DiffKind, set[int]] = {DiffKind.REMOVED: set(), DiffKind.ADDED: set()}
        for entry in entries:
            meta = entry.after or entry.before
            if entry.kind in sizes and meta and meta.type is FileType.FILE:
                sizes[entry.kind].add(meta.size)
        self._sizes = {
            size for size in sizes[DiffKind.REMOVED] & sizes[DiffKind.ADDED] if 0 < size <= _MAX_HASHED_BYTES
        }

    def with_name(self, path: bytes, meta: Meta, after: bool) -> Hashable:
        """Equal for files of equal bytes and last name: paired first."""
        digest = self.alone(path, meta, after)
        return digest and (digest, path.rpartition(b"/")[2])

    def alone(self, _: bytes, meta: Meta, after: bool) -> bytes | None:
        """Equal for files of equal bytes."""
        if meta.type is not FileType.FILE or meta.size not in self._sizes:
            return None
        key = (meta.inode, after)
        if key not in self._found:
            self._left_bytes -= meta.size
            self._found[key] = self._digest(meta, after) if self._left_bytes >= 0 else None
        return self._found[key]

    def _digest(self, meta: Meta, after: bool) -> bytes:
        digest = blake3()
        for piece in self._sides.content(after, meta).pieces():
            digest.update(piece)
        return digest.digest()


def _pair(sides: Sides, entries: list[DiffEntry], key: Key) -> list[DiffEntry]:
    waiting: dict[Hashable, list[DiffEntry]] = defaultdict(list)
    for entry in reversed(entries):
        if entry.kind is DiffKind.REMOVED and entry.before:
            waiting[key(entry.path, entry.before, False)].append(entry)
    waiting.pop(None, None)
    moved: dict[bytes, DiffEntry] = {}
    sources = set()
    for entry in entries:
        if (
            entry.kind is DiffKind.ADDED
            and entry.after
            and waiting.get(found := key(entry.path, entry.after, True))
        ):
            old = waiting[found].pop()
            sources.add(old.path)
            moved[entry.path] = _renamed(sides, old, entry)
    return [
        moved.get(entry.path, entry)
        for entry in entries
        if not (entry.kind is DiffKind.REMOVED and entry.path in sources)
    ]


def _renamed(sides: Sides, old: DiffEntry, new: DiffEntry) -> DiffEntry:
    assert old.before and new.after
    what = sides.differences(old.before, new.after)
    shown = what if what - {Aspect.MTIME} else frozenset[Aspect]()
    return DiffEntry(new.path, DiffKind.RENAMED, old.before, new.after, shown, old.path)
