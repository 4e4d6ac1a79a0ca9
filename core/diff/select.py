"""Which entries of a diff somebody asked for: those at or below some paths, and not those that match a glob."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import translate
from functools import cached_property
from typing import Self

from core.diff.entry import DiffEntry, DiffKind, FilesystemDiff
from core.names import meant


@dataclass(frozen=True)
class PathFilter:
    """Paths, and globs to ignore; no path means all of them.

    A glob with a slash is held against whole paths, one without against each name on the way; what lies below an
    ignored directory is ignored. `*` matches slashes too.
    """

    paths: tuple[bytes, ...] = ()
    ignore: tuple[bytes, ...] = ()

    @classmethod
    def typed(cls, paths: Iterable[str], ignore: Iterable[str] = ()) -> Self:
        """Of paths and globs as somebody types them (`core.names`)."""
        return cls(tuple(map(meant, paths)), tuple(map(meant, ignore)))

    def of(self, diff: FilesystemDiff) -> FilesystemDiff:
        """The entries selected; a file that moved into or out of the selection was added or removed there."""
        if not self.paths and not self.ignore:
            return diff
        found = [kept for entry in diff.entries if (kept := self._kept(entry))]
        return FilesystemDiff(tuple(sorted(found, key=lambda entry: entry.path)))

    def has(self, path: bytes) -> bool:
        """Whether a path is selected."""
        below = not self.paths or any(is_below(path, top) for top in self.paths)
        return below and not any(glob(path) for glob in self._globs)

    def without(self, tops: Collection[bytes]) -> Self | None:
        """The selection less these of its paths; None when no other is left."""
        if not tops:
            return self
        left = tuple(path for path in self.paths if absolute(path) not in tops)
        return replace(self, paths=left) if left else None

    def _kept(self, entry: DiffEntry) -> DiffEntry | None:
        here = self.has(entry.path)
        if entry.source is None or here == self.has(entry.source):
            return entry if here else None
        if here:
            return replace(entry, kind=DiffKind.ADDED, before=None, what=frozenset(), source=None)
        return replace(
            entry, path=entry.source, kind=DiffKind.REMOVED, after=None, what=frozenset(), source=None
        )

    @cached_property
    def _globs(self) -> tuple["_Glob", ...]:
        return tuple(_Glob(pattern) for pattern in self.ignore)


ALL_FILES = PathFilter()


def absolute(path: bytes) -> bytes:
    """A path from the root directory, with one slash where there are several."""
    return b"/" + b"/".join(filter(None, path.split(b"/")))


def is_below(path: bytes, top: bytes) -> bool:
    """Is a path that path, or below it? Leading and trailing slashes do not matter."""
    parts, wanted = path.strip(b"/"), top.strip(b"/")
    return not wanted or parts == wanted or parts.startswith(wanted + b"/")


class _Glob:
    """One glob to ignore by; a `?` is a character, and a byte where there is none."""

    def __init__(self, pattern: bytes) -> None:
        self._whole = b"/" in pattern.rstrip(b"/")
        self._pattern = re.compile(translate(_text(pattern.strip(b"/"))))

    def __call__(self, path: bytes) -> bool:
        """Does it match a path, or a directory above it?"""
        return any(self._pattern.match(_text(part)) for part in self._parts(path.strip(b"/")))

    def _parts(self, path: bytes) -> Iterator[bytes]:
        names = path.split(b"/")
        if not self._whole:
            yield from names
            return
        for end in range(1, len(names) + 1):
            yield b"/".join(names[:end])


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
