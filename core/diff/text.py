"""A diff as a patch in git's format, as far as git can express it.

What git cannot carry (directories, devices, owners, attributes, permissions beyond the executable bit) stands
between the files' patches as one line each that begins with `#`, which `git apply` skips.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha1

from core.diff.compare import Loaded
from core.diff.disk import Disk
from core.diff.entry import Change, Entry, FilesystemDiff
from core.diff.ext4 import Volume
from core.diff.lines import hunks
from core.diff.meta import FileType, Meta

MAX_TEXT_BYTES = 1 << 20
_PROBE_BYTES = 8000  # git calls a file binary if a NUL stands this near its start
_ESCAPES = {7: b"a", 8: b"b", 9: b"t", 10: b"n", 11: b"v", 12: b"f", 13: b"r", 34: b'"', 92: b"\\"}
_NO_BLOB = b"0" * 7


@dataclass(frozen=True, slots=True)
class _Side:
    """One version of a file as git sees it; `data` is None when it is larger than the limit."""

    name: bytes
    mode: bytes
    size: int
    data: bytes | None

    @property
    def binary(self) -> bool:
        return self.data is not None and b"\0" in self.data[:_PROBE_BYTES]

    @property
    def blob(self) -> bytes:
        """The start of git's name for the content."""
        body = b"blob %d\0" % self.size + (self.data or b"")
        return sha1(body, usedforsecurity=False).hexdigest()[:7].encode()


def patch(diff: FilesystemDiff, a: Disk, b: Disk, max_bytes: int = MAX_TEXT_BYTES) -> Iterator[bytes]:
    """The lines of a patch from `a` to `b`, each with its newline; `diff` is what `diff_disks(a, b)` gave.

    Larger files than `max_bytes` are only said to differ.
    """
    reader = _Reader(diff, Volume(a), Volume(b), max_bytes)
    for entry in diff.entries:
        yield from _remarks(entry)
        yield from _file_patch(reader, entry)


def quoted(name: bytes) -> bytes:
    """A path as git prints it: in quotes with C escapes when it holds anything but plain ASCII."""
    if all(32 <= byte < 127 and byte not in _ESCAPES for byte in name):
        return name
    return b'"' + b"".join(_escaped(byte) for byte in name) + b'"'


def _escaped(byte: int) -> bytes:
    if byte in _ESCAPES:
        return b"\\" + _ESCAPES[byte]
    return bytes((byte,)) if 32 <= byte < 127 else b"\\%03o" % byte


class _Reader:
    """Fetches the versions of files from the two disks."""

    def __init__(self, diff: FilesystemDiff, a: Volume, b: Volume, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        old = [entry.before.inode for entry in diff.entries if entry.before]
        new = [entry.after.inode for entry in diff.entries if entry.after]
        self._loaded = (Loaded.of(a, old), Loaded.of(b, new))

    def side(self, after: bool, path: bytes, meta: Meta | None) -> _Side | None:
        """A version as git sees it, None if git sees nothing: only files and symlinks count."""
        if meta is None or meta.type not in (FileType.FILE, FileType.SYMLINK):
            return None
        name = path.removeprefix(b"/")
        if meta.target is not None:
            return _Side(name, b"120000", len(meta.target), meta.target)
        data = None
        if meta.size <= self._max_bytes:
            data = self._loaded[after].content(meta).read(meta.size)
        return _Side(name, b"100755" if meta.mode & 0o100 else b"100644", meta.size, data)


def _file_patch(reader: _Reader, entry: Entry) -> Iterator[bytes]:
    old = reader.side(False, entry.source or entry.path, entry.before)
    new = reader.side(True, entry.path, entry.after)
    if old and new and old.mode[:3] != new.mode[:3]:  # git has no change of type
        yield from _versions(old, None, same=False)
        yield from _versions(None, new, same=False)
    elif old or new:
        same = bool(old and new) and not entry.what & {Change.CONTENT, Change.TARGET}
        yield from _versions(old, new, same)


def _versions(old: _Side | None, new: _Side | None, same: bool) -> Iterator[bytes]:
    header = list(_extended_header(old, new, same))
    body = [] if same else _body(old, new)
    if header or not same:
        names = ((old or new), (new or old))
        yield b"diff --git %s %s\n" % tuple(
            quoted(p + s.name) for p, s in zip((b"a/", b"b/"), names, strict=True) if s
        )
        yield from header
        yield from body


def _extended_header(old: _Side | None, new: _Side | None, same: bool) -> Iterator[bytes]:
    if old is None and new:
        yield b"new file mode %s\n" % new.mode
    elif new is None and old:
        yield b"deleted file mode %s\n" % old.mode
    elif old and new:
        if old.mode != new.mode:
            yield b"old mode %s\nnew mode %s\n" % (old.mode, new.mode)
        if old.name != new.name:
            if same:
                yield b"similarity index 100%\n"
            yield b"rename from %s\nrename to %s\n" % (quoted(old.name), quoted(new.name))


def _body(old: _Side | None, new: _Side | None) -> Iterator[bytes]:
    left = quoted(b"a/" + old.name) if old else b"/dev/null"
    right = quoted(b"b/" + new.name) if new else b"/dev/null"
    sides = [side for side in (old, new) if side]
    if any(side.data is None for side in sides):
        size = max(side.size for side in sides)
        yield b"Files %s and %s differ: too large to show (%d bytes)\n" % (left, right, size)
        return
    yield b"index %s..%s%s\n" % (
        old.blob if old else _NO_BLOB,
        new.blob if new else _NO_BLOB,
        _same_mode(old, new),
    )
    if any(side.binary for side in sides):
        yield b"Binary files %s and %s differ\n" % (left, right)
    elif any(side.data for side in sides):
        yield b"--- %s%s\n+++ %s%s\n" % (left, _tab(left), right, _tab(right))
        yield from hunks(_lines(old), _lines(new))


def _same_mode(old: _Side | None, new: _Side | None) -> bytes:
    return b" " + old.mode if old and new and old.mode == new.mode else b""


def _tab(name: bytes) -> bytes:
    """git ends a name that holds a space with a tab, so that patch(1) finds where it ends."""
    return b"\t" if b" " in name else b""


def _lines(side: _Side | None) -> list[bytes]:
    lines = ((side and side.data) or b"").split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + [line for line in lines[-1:] if line]


def _remarks(entry: Entry) -> Iterator[bytes]:
    """What of an entry git cannot carry, a line each."""
    name = quoted(entry.path)
    plain = (FileType.FILE, FileType.SYMLINK)
    for sign, meta in ((b"-", entry.before), (b"+", entry.after)):
        moved = entry.before is None or entry.after is None or entry.source or Change.TYPE in entry.what
        if meta and meta.type not in plain and (moved or Change.DEVICE in entry.what):
            where = quoted(entry.source) if entry.source and sign == b"-" else name
            yield b"# %s%s: %s%s\n" % (sign, where, meta.type.encode(), _device(meta))
    if entry.before and entry.after:
        for change, old, new in _silent_changes(entry.before, entry.after):
            if change in entry.what:
                yield b"# %s: %s %s -> %s\n" % (name, change.encode(), old, new)


def _device(meta: Meta) -> bytes:
    return b" %d:%d" % meta.device if meta.device else b""


def _silent_changes(before: Meta, after: Meta) -> Iterator[tuple[Change, bytes, bytes]]:
    yield Change.OWNER, b"%d:%d" % (before.uid, before.gid), b"%d:%d" % (after.uid, after.gid)
    if before.type is not FileType.FILE or before.mode ^ after.mode != 0o111:
        yield Change.MODE, b"%04o" % before.mode, b"%04o" % after.mode
    yield Change.XATTR, _attributes(before), _attributes(after)


def _attributes(meta: Meta) -> bytes:
    return b"{%s}" % b", ".join(quoted(name) + b"=" + quoted(value) for name, value in meta.xattrs)
