"""What of a diff git's patches cannot carry: directories, devices, owners, attributes, most permissions.

A remark is one line that begins with `#`, which `git apply` skips.
"""

import re
from collections.abc import Iterable, Iterator

from core.diff.entry import Aspect, DiffEntry, DiffKind
from core.diff.flags import lsattr
from core.diff.meta import FileType, Meta

_ESCAPES = {7: b"a", 8: b"b", 9: b"t", 10: b"n", 11: b"v", 12: b"f", 13: b"r", 34: b'"', 92: b"\\"}
_REFUSED = re.compile(rb"(^|[/\\])(\.git|git~1)[ .]*([/\\:]|$)", re.IGNORECASE)
_REFUSED_LINK = re.compile(rb"(^|[/\\])\.gitmodules$", re.IGNORECASE)
_GIT_MODES = {FileType.FILE: (0o644, 0o755), FileType.DIRECTORY: (0o755,), FileType.SYMLINK: (0o777,)}

Parents = frozenset[bytes]
"""Directories that hold, at any depth, a file that a patch brings or takes away."""


def quoted(name: bytes) -> bytes:
    """A path as git prints it: in quotes with C escapes when it holds anything but plain ASCII.

    Also where a name ends with a space above others: git prints those as they are and then cannot apply its own patch.
    """
    if b" /" not in name and all(32 <= byte < 127 and byte not in _ESCAPES for byte in name):
        return name
    return b'"' + b"".join(_escaped(byte) for byte in name) + b'"'


def _escaped(byte: int) -> bytes:
    if byte in _ESCAPES:
        return b"\\" + _ESCAPES[byte]
    return bytes((byte,)) if 32 <= byte < 127 else b"\\%03o" % byte


def is_in_git(meta: Meta | None) -> bool:
    """Does git know such a thing? Only files and symlinks count."""
    return meta is not None and meta.type in (FileType.FILE, FileType.SYMLINK)


def is_refused(name: bytes, meta: Meta) -> bool:
    """Would `git apply` refuse this path? It guards its own directory, in every spelling a filesystem takes."""
    link = meta.type is FileType.SYMLINK and _REFUSED_LINK.search(name)
    return bool(link or _REFUSED.search(name))


def parents_of(entries: Iterable[DiffEntry], after: bool) -> Parents:
    """The directories above the files and symlinks of one side."""
    found = set()
    for entry in entries:
        path = entry.path if after else entry.source or entry.path
        if is_in_git(entry.after if after else entry.before):
            while path := path.rpartition(b"/")[0]:
                found.add(path)
    return frozenset(found)


class Remarks:
    """Tells of each entry what a patch leaves out."""

    def __init__(self, entries: Iterable[DiffEntry]) -> None:
        entries = list(entries)
        self._parents = {after: parents_of(entries, after) for after in (False, True)}

    def of(self, entry: DiffEntry) -> Iterator[bytes]:
        """A line for each thing git cannot carry."""
        yield from self._of_others(entry)
        if entry.before and entry.after:
            yield from _of_changes(entry, entry.before, entry.after)
        if entry.after and (entry.kind is DiffKind.ADDED or Aspect.TYPE in entry.what):
            yield from _of_new(entry.path, entry.after)

    def _of_others(self, entry: DiffEntry) -> Iterator[bytes]:
        """Devices and the like, and directories without a file that would make git make or remove them."""
        renewed = entry.before is None or entry.after is None or entry.source or Aspect.TYPE in entry.what
        for sign, after, meta in ((b"-", False, entry.before), (b"+", True, entry.after)):
            if meta is None or is_in_git(meta) or not (renewed or Aspect.DEVICE in entry.what):
                continue
            path = entry.path if after else entry.source or entry.path
            if meta.type is not FileType.DIRECTORY or path not in self._parents[after]:
                yield b"# %s%s: %s%s\n" % (sign, quoted(path), meta.type.encode(), _device(meta))


def _of_new(path: bytes, meta: Meta) -> Iterator[bytes]:
    """What a new file has beyond what git makes: owned by root, mode 644 or 755."""
    name = quoted(path)
    if (meta.uid, meta.gid) != (0, 0):
        yield b"# %s: owner %d:%d\n" % (name, meta.uid, meta.gid)
    if meta.mode not in _GIT_MODES.get(meta.type, (meta.mode,)):
        yield b"# %s: mode %04o\n" % (name, meta.mode)
    if meta.xattrs:
        yield b"# %s: xattr %s\n" % (name, _attributes(meta))
    if meta.flags:
        yield b"# %s: flags %s\n" % (name, _flags(meta))
    if meta.project:
        yield b"# %s: project %d\n" % (name, meta.project)


def _of_changes(entry: DiffEntry, before: Meta, after: Meta) -> Iterator[bytes]:
    for change, old, new in _silent_changes(before, after):
        if change in entry.what:
            yield b"# %s: %s %s -> %s\n" % (quoted(entry.path), change.encode(), old, new)


def _silent_changes(before: Meta, after: Meta) -> Iterator[tuple[Aspect, bytes, bytes]]:
    yield Aspect.OWNER, b"%d:%d" % (before.uid, before.gid), b"%d:%d" % (after.uid, after.gid)
    if before.type is not FileType.FILE or before.mode ^ after.mode != 0o111:
        yield Aspect.MODE, b"%04o" % before.mode, b"%04o" % after.mode
    yield Aspect.XATTR, _attributes(before), _attributes(after)
    yield Aspect.FLAGS, _flags(before), _flags(after)
    yield Aspect.PROJECT, b"%d" % before.project, b"%d" % after.project


def _device(meta: Meta) -> bytes:
    return b" %d:%d" % meta.device if meta.device else b""


def _flags(meta: Meta) -> bytes:
    return lsattr(meta.flags).encode()


def _attributes(meta: Meta) -> bytes:
    return b"{%s}" % b", ".join(quoted(name) + b"=" + quoted(value) for name, value in meta.xattrs)
