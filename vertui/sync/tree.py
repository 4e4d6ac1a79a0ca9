"""A directory here as it changes: the kernel says where to look (inotify), looking says what is different."""

# The paths are bytes that pathlib cannot hold.
# ruff: noqa: PTH118

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from inotify_simple import INotify, flags

from core.errors import NoRoom, NotFound, VertuiError
from core.guest.scripts.ignored import Rules
from core.names import spelled

HEEDED = (
    flags.MODIFY | flags.ATTRIB | flags.CLOSE_WRITE | flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO
    | flags.DELETE_SELF | flags.MOVE_SELF
)  # fmt: skip
HOW = flags.ONLYDIR | flags.DONT_FOLLOW | flags.EXCL_UNLINK
QUIET_MS = 20  # an editor's several steps, and most of what a checkout does, come closer together
LONGEST_MS = 200
MANY = 64  # places to look at: looking at all of it costs less then
SCARCE = (errno.ENOSPC, errno.EMFILE, errno.ENFILE)

Stamp = tuple[int, ...]  # differs when an entry is another


@dataclass(frozen=True)
class Edits:
    """Names that are new or other than they were, and those that are gone: of a tree the topmost."""

    names: frozenset[bytes] = frozenset()
    removed: frozenset[bytes] = frozenset()

    def then(self, later: "Edits") -> "Edits":
        """Both, one after the other."""
        removed = {name for name in self.removed if name not in later.names} | later.removed
        return Edits((self.names - later.removed) | later.names, frozenset(removed))

    def __bool__(self) -> bool:
        return bool(self.names or self.removed)


class WatchedTree:
    """A directory that is watched from when this is made. What rules leave out is not looked at."""

    def __init__(self, directory: Path, rules: Rules | None) -> None:
        self.directory, self._rules = directory, rules or Rules()
        self._top = os.fsencode(directory)
        self._judge = self._rules.within(self._top)
        self._entries: dict[bytes, Stamp] = {}
        self._paths: dict[int, bytes] = {}
        with _told(directory):
            self._inotify = INotify()
            self._watch(b"")
            self._entries = dict(self._seen(b""))

    def close(self) -> None:
        """Watch no more."""
        self._inotify.close()

    def next(self) -> Edits:
        """The next edits; waits for them. NotFound once the directory has gone."""
        while True:
            places = self._places()
            with _told(self.directory):
                if found := self._look(places):
                    return found

    def _places(self) -> set[bytes]:
        """Where something has happened, and then nothing for a moment."""
        events = self._inotify.read()
        for _ in range(LONGEST_MS // QUIET_MS):
            more = self._inotify.read(timeout=QUIET_MS)
            events += more
            if not more:
                break
        return {path for event in events if (path := self._place(*event)) is not None}

    def _place(self, watch: int, mask: int, _: int, name: str) -> bytes | None:
        if mask & flags.Q_OVERFLOW:
            return b""
        directory = self._paths.get(watch)
        if directory is None or mask & flags.IGNORED:
            return None
        if mask & (flags.DELETE_SELF | flags.MOVE_SELF) and not directory and not self.directory.is_dir():
            raise NotFound(f"{self.directory} has gone")
        if self._rules.name and os.fsencode(name) == self._rules.name:
            return b""
        return os.path.join(directory, os.fsencode(name)).rstrip(b"/")

    def _look(self, places: set[bytes]) -> Edits:
        if b"" in places or len(places) > MANY:
            places = {b""}
            self._judge = self._rules.within(self._top)
        names: set[bytes] = set()
        removed: set[bytes] = set()
        for place in places:
            before = {path: stamp for path, stamp in self._entries.items() if _is_in(path, place)}
            now = dict(self._seen(place))
            names |= {path for path, stamp in now.items() if before.get(path) != stamp}
            gone = before.keys() - now.keys()
            removed |= {path for path in gone if not os.path.lexists(os.path.join(self._top, path))}
            for path in gone:
                del self._entries[path]
            self._entries |= now
        topmost = {path for path in removed if path.rpartition(b"/")[0] not in removed}
        return Edits(frozenset(names), frozenset(topmost))

    def _seen(self, place: bytes) -> Iterator[tuple[bytes, Stamp]]:
        """What stands at a place and below it, each directory watched before it is entered."""
        if place:
            try:
                info = os.lstat(os.path.join(self._top, place))
            except (FileNotFoundError, NotADirectoryError):
                return
            if self._judge.ignores(place, stat.S_ISDIR(info.st_mode)):
                return
            yield place, _stamp(info)
            if not stat.S_ISDIR(info.st_mode):
                return
            self._watch(place)
        for path, entry, ignored in self._judge.walk(place):
            if not ignored:
                with suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        self._watch(path)
                    yield path, _stamp(entry.stat(follow_symlinks=False))

    def _watch(self, directory: bytes) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            self._paths[self._inotify.add_watch(os.path.join(self._top, directory), HEEDED | HOW)] = directory


@contextmanager
def _told(directory: Path) -> Iterator[None]:
    """What cannot be watched or read, in our own errors."""
    try:
        yield
    except OSError as error:
        if error.errno in SCARCE:
            raise NoRoom(
                f"{directory} has more directories than may be watched: sysctl fs.inotify.max_user_watches=1048576,"
                " or leave some out by --ignore-from"
            ) from error
        where = spelled(os.fsencode(error.filename or directory))
        raise VertuiError(f"cannot watch {where}: {error.strerror}") from error


def _stamp(info: os.stat_result) -> Stamp:
    """A directory is another by its mode alone: what is in it has stamps of its own."""
    if stat.S_ISDIR(info.st_mode):
        return (info.st_mode,)
    return info.st_mode, info.st_size, info.st_mtime_ns, info.st_ino


def _is_in(path: bytes, place: bytes) -> bool:
    return not place or path == place or path.startswith(place + b"/")
