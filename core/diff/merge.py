"""One state's changes brought into another: three ways, against what both come from.

Content, permissions, owner and attributes are merged each for itself; two texts changed in different places are
merged line by line. What both changed in different ways is a clash.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from core.diff.compare import Loaded
from core.diff.content import Content
from core.diff.entry import DiffEntry
from core.diff.ext4 import Volume
from core.diff.filesystem import diff_disks, index_of
from core.diff.index import PathIndex
from core.diff.lines import merge_lines, only_at
from core.diff.meta import FileType, Meta
from core.diff.select import PathFilter
from core.diff.text import MAX_TEXT_BYTES, as_lines, is_binary
from core.disk.blocks import Disk
from core.errors import UsageError
from core.names import spelled

DiskT = TypeVar("DiskT", bound=Disk)
LineRange = tuple[int, int]
"""The first and the last line, counted from 1, as theirs has them."""
_RIGHTS = {("mode",): "permissions", ("uid", "gid"): "owner", ("xattrs",): "attributes"}


class Prefer(StrEnum):
    """Whose side a clash is decided for: as in git, `ours` is the branch that is changed."""

    OURS = "ours"
    THEIRS = "theirs"


@dataclass(frozen=True)
class Step:
    """One path of ours to change: `seen` stands there, `wanted` is to, None for nothing.

    When `renewed` the file is replaced, a regular one with the bytes of `body`; else only permissions, owner and
    attributes of what stands there are set.
    """

    path: bytes
    seen: Meta | None
    wanted: Meta | None
    renewed: bool = True
    body: Content | bytes | None = None


@dataclass(frozen=True)
class Clash:
    """A path both changed, and how. One that is not `decidable` cannot be decided for theirs."""

    path: bytes
    reason: str
    decidable: bool = True

    def __str__(self) -> str:
        return f"{spelled(self.path)} ({self.reason})"


@dataclass(frozen=True)
class Merge:
    """What to do to ours; `clashes` are left out of it, or with a preference decided.

    `not_carried` are paths whose chattr flags or project id will not be what both sides made of them: no step sets any,
    and a file that is replaced has none.
    """

    steps: tuple[Step, ...]
    clashes: tuple[Clash, ...]
    not_carried: tuple[bytes, ...] = ()

    def undecided(self, prefer: Prefer | None) -> tuple[Clash, ...]:
        """The clashes a preference leaves open."""
        if prefer is Prefer.THEIRS:
            return tuple(clash for clash in self.clashes if not clash.decidable)
        return () if prefer else self.clashes


class _Differ(Exception):
    """Both sides changed this, in different ways."""


class _NoPlace(_Differ):
    """There is no directory any more for what they changed."""


def merge(
    base: DiskT,
    ours: DiskT,
    theirs: DiskT,
    index: PathIndex | None,
    wanted: PathFilter,
    prefer: Prefer | None,
    lines: LineRange | None = None,
) -> Merge:
    """How `ours` takes the selected changes of `theirs` since `base`, whose path index, or its image's, is `index`.

    With `lines` it is those of texts alone that are in these lines; UsageError where there are none.
    """
    known = index_of(base, index)
    taken = wanted.of(diff_disks(base, theirs, known, renames=False)).entries
    mine = diff_disks(base, ours, known, times=True, renames=False).entries
    return _Merger((base, ours, theirs), taken, mine, lines).merge(prefer)


@dataclass(frozen=True)
class _Version:
    """A file with where it can be read."""

    meta: Meta
    side: Loaded

    @property
    def content(self) -> Content | None:
        return self.side.content(self.meta) if self.meta.type is FileType.FILE else None

    def lines(self) -> list[bytes] | None:
        """The lines of a text; None for anything else."""
        content = self.content
        if content is None or content.size > MAX_TEXT_BYTES:
            return None
        data = content.read(content.size)
        return None if is_binary(data) else as_lines(data)

    def has_body_of(self, other: "_Version") -> bool:
        """The same type, bytes, target and device?"""
        shapes = [(meta.type, meta.size, meta.target, meta.device) for meta in (self.meta, other.meta)]
        if shapes[0] != shapes[1]:
            return False
        mine, theirs = self.content, other.content
        return mine is None or theirs is None or mine.digest() == theirs.digest()

    def is_like(self, other: "_Version") -> bool:
        """The same in everything but time?"""
        rights = [
            (meta.mode, meta.uid, meta.gid, meta.xattrs, meta.flags, meta.project)
            for meta in (self.meta, other.meta)
        ]
        return rights[0] == rights[1] and self.has_body_of(other)


class _Merger:
    def __init__(
        self,
        disks: Sequence[Disk],
        taken: Sequence[DiffEntry],
        mine: Sequence[DiffEntry],
        lines: LineRange | None,
    ) -> None:
        self._taken, self._lines = taken, lines
        self._mine = {entry.path: entry for entry in mine}
        self._made = {entry.path for entry in taken if _is_directory(entry.after)}
        metas = (
            [entry.before for entry in (*taken, *mine)],
            [entry.after for entry in mine],
            [entry.after for entry in taken],
        )
        self._base, self._ours, self._theirs = (
            Loaded.of(Volume(disk), {meta.inode for meta in part if meta})
            for disk, part in zip(disks, metas, strict=True)
        )

    def merge(self, prefer: Prefer | None) -> Merge:
        steps, clashes, not_carried = list[Step](), list[Clash](), list[bytes]()
        for entry in self._taken:
            try:
                step = self._step(entry)
            except _Differ as clash:
                decidable = not isinstance(clash, _NoPlace) and self._lines is None
                clashes.append(Clash(entry.path, str(clash), decidable))
                if not decidable or prefer is not Prefer.THEIRS:
                    continue
                step = self._theirs_whole(entry)
            if step:
                steps.append(step)
            if self._loses_flags(entry, step):
                not_carried.append(entry.path)
        return Merge(tuple(steps), tuple(clashes), tuple(not_carried))

    def _loses_flags(self, entry: DiffEntry, step: Step | None) -> bool:
        """Will flags or a project id be otherwise than whoever changed them made them?"""
        if entry.after is None:
            return False
        version = self._seen(entry)
        seen = version.meta if version else None
        old, ours, theirs = map(_flags, (entry.before if seen else None, seen, entry.after))
        wanted = tuple(mine if new == was else new for was, mine, new in zip(old, ours, theirs, strict=True))
        return wanted != (_flags(None) if step and step.renewed else ours)

    def _step(self, entry: DiffEntry) -> Step | None:
        before = _Version(entry.before, self._base) if entry.before else None
        after = _Version(entry.after, self._theirs) if entry.after else None
        seen = self._seen(entry)
        if self._lines is not None:
            return _merged_lines(entry.path, before, seen, after, self._lines)
        self._check_directories(entry)
        if seen is None:
            if before and after:
                raise _Differ("changed there, removed here")
            return self._theirs_whole(entry) if after else None
        if after is None:
            if before and before.is_like(seen):
                return self._theirs_whole(entry)
            raise _Differ("removed there, changed here")
        return _merged(entry.path, before, seen, after)

    def _seen(self, entry: DiffEntry) -> _Version | None:
        """What stands at the path in ours; what we did not change is as in the base."""
        mine = self._mine.get(entry.path)
        if mine is None:
            return _Version(entry.before, self._base) if entry.before else None
        return _Version(mine.after, self._ours) if mine.after else None

    def _theirs_whole(self, entry: DiffEntry) -> Step:
        seen = self._seen(entry)
        body = _Version(entry.after, self._theirs).content if entry.after else None
        return Step(entry.path, seen.meta if seen else None, entry.after, True, body)

    def _check_directories(self, entry: DiffEntry) -> None:
        """No file may come where ours has no directory now, and no directory go in which ours has changes."""
        path = entry.path
        while entry.after and (path := path.rpartition(b"/")[0]):
            mine = self._mine.get(path)
            if mine and not _is_directory(mine.after):
                made_there = path in self._made
                raise (_Differ if made_there else _NoPlace)(f"{spelled(path)} is no directory here")
        if not _is_directory(entry.before) or _is_directory(entry.after):
            return
        below = entry.path + b"/"
        if any(path.startswith(below) and mine.after for path, mine in self._mine.items()):
            raise _Differ("removed there, changed below here")


def _merged(path: bytes, before: _Version | None, seen: _Version, after: _Version) -> Step | None:
    """Both are there: each aspect from whoever changed it."""
    old, ours, theirs = before.meta if before else None, seen.meta, after.meta
    renewed, body = _merged_body(before, seen, after)
    wanted = _rights(old, ours, theirs, theirs if renewed else ours)
    return Step(path, ours, wanted, renewed, body) if renewed or wanted != ours else None


def _merged_lines(
    path: bytes, before: _Version | None, seen: _Version | None, after: _Version | None, lines: LineRange
) -> Step | None:
    """Some lines of a text, and nothing else of it."""
    name, (first, last) = spelled(path), lines
    texts = [version.lines() if version else None for version in (before, seen, after)]
    old, ours, theirs = texts
    if old is None or ours is None or theirs is None or seen is None or after is None:
        raise UsageError(f"{name} is not a text on all sides: bring all of it, without lines")
    if (taken := only_at(old, theirs, first, last)) == old:
        raise UsageError(f"nothing was changed in lines {first} to {last} of {name}")
    if (merged := merge_lines(old, ours, taken)) is None:
        raise _Differ("content")
    if merged == ours:
        return None
    wanted = replace(seen.meta, mtime_ns=after.meta.mtime_ns)
    return Step(path, seen.meta, wanted, True, b"".join(merged))


def _merged_body(
    before: _Version | None, seen: _Version, after: _Version
) -> tuple[bool, Content | bytes | None]:
    """Whether the file is to be replaced, and with what bytes."""
    if after.has_body_of(seen) or (before and before.has_body_of(after)):
        return False, None
    if before and before.has_body_of(seen):
        return True, after.content
    if before is None:
        raise _Differ("added in both")
    old, ours, theirs = before.lines(), seen.lines(), after.lines()
    merged = None if old is None or ours is None or theirs is None else merge_lines(old, ours, theirs)
    if merged is None:
        raise _Differ("content")
    return True, b"".join(merged)


def _rights(old: Meta | None, ours: Meta, theirs: Meta, wanted: Meta) -> Meta:
    """`wanted` with permissions, owner and attributes of whoever changed them."""
    for names, what in _RIGHTS.items():
        values = [[getattr(meta, name) for name in names] if meta else None for meta in (old, ours, theirs)]
        if values[2] not in (values[0], values[1]) and values[1] != values[0]:
            raise _Differ(what)
        source = ours if values[2] in (values[0], values[1]) else theirs
        wanted = replace(wanted, **{name: getattr(source, name) for name in names})
    return wanted


def _flags(meta: Meta | None) -> tuple[int, int]:
    """What chattr sets: none of it, where there is no file or a new one."""
    return (meta.flags, meta.project) if meta else (0, 0)


def _is_directory(meta: Meta | None) -> bool:
    return meta is not None and meta.type is FileType.DIRECTORY
