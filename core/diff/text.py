"""A diff as a patch in git's format, as far as git can express it; what it cannot are remarks (`carry`).

To read: texts up to a size as hunks, of all else that it differs. To apply: everything, binary content included,
in pieces: no file is held in memory whole but texts.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha1

from core.diff.binary import binary_patch
from core.diff.carry import Remarks, is_in_git, is_refused, parents_of, quoted
from core.diff.compare import Loaded
from core.diff.content import Content
from core.diff.entry import Aspect, DiffEntry, FilesystemDiff
from core.diff.ext4 import Volume
from core.diff.filesystem import names_at
from core.diff.lines import changed_spans, hunks
from core.diff.meta import Meta
from core.disk.blocks import Disk
from core.progress import Told, nobody

MAX_TEXT_BYTES = 1 << 20  # larger texts are not split into lines
MAX_APPLIED_BYTES = 4 << 30  # before and after, of all files of a patch: `git apply` holds them in memory
MAX_PATCH_BYTES = 1023 << 20  # git's MAX_APPLY_SIZE
_MOST_TIMES_DISK = 4  # holes may make files seem larger than their disk, but not without end
_PROBE_BYTES = 8000  # git calls a file binary if a NUL stands this near its start
_SHOWN_DIGITS = 7  # of a blob's name, where nothing depends on it
_NO_BLOB = b"0" * 40


Body = bytes | Content | None
"""A file's bytes; where to read them when they are too many for a text; None when there is nowhere to."""

Bodies = Callable[[bool, bytes, Meta], Body]
"""(on the later side, path, meta) → the body of a regular file."""


@dataclass(frozen=True, slots=True)
class _Side:
    """One version of a file as git sees it; one that is too large for a text is read when it is needed."""

    name: bytes
    mode: bytes
    size: int
    body: Body

    @property
    def large(self) -> bool:
        return not isinstance(self.body, bytes)

    @property
    def text(self) -> bytes | None:
        return self.body if isinstance(self.body, bytes) and not is_binary(self.body) else None

    @property
    def pieces(self) -> Iterable[bytes]:
        return self.body.pieces() if isinstance(self.body, Content) else (self.body or b"",)

    @property
    def blob(self) -> bytes:
        """git's name for the content."""
        name = sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        for piece in self.pieces:
            name.update(piece)
        return name.hexdigest().encode()


def patch(diff: FilesystemDiff, a: Disk, b: Disk, *, whole: bool = False) -> Iterator[bytes]:
    """The lines of a patch from `a` to `b`, each with its newline; `diff` is what `diff_disks(a, b)` gave.

    With `whole` it is one `git apply` takes: binary and larger files are in it, up to MAX_APPLIED_BYTES in all, and
    every remark is of something it leaves out, or that it is too large as a whole. Without, they are only said to
    differ.
    """
    limit = min(MAX_APPLIED_BYTES, _MOST_TIMES_DISK * b.size)
    reader = _Reader(_bodies_on(diff, a, b), _too_large(diff.entries, limit) if whole else None)
    remarks = Remarks(diff.entries)
    size = 0
    for entry in diff.entries:
        yield from remarks.of(entry)
        for lines in _file_patch(reader, entry):
            size += len(lines)
            yield lines
    if whole:
        yield from _emptied(diff, Volume(b))
    if whole and size > MAX_PATCH_BYTES:
        yield b"# %d bytes are more than `git apply` takes: take less at once by naming paths\n" % size


def patch_of(diff: FilesystemDiff, bodies: Bodies) -> Iterator[bytes]:
    """The lines of a patch to read, of files that are on no disk."""
    reader, remarks = _Reader(bodies), Remarks(diff.entries)
    for entry in diff.entries:
        yield from remarks.of(entry)
        yield from _file_patch(reader, entry)


def changed_lines(
    diff: FilesystemDiff, a: Disk, b: Disk, told: Told = nobody
) -> list[tuple[int, int] | None]:
    """For each entry the lines added and removed, None for what git counts no lines of."""
    reader, counts = _Reader(_bodies_on(diff, a, b)), list[tuple[int, int] | None]()
    for entry in diff.entries:
        counts.append(_line_counts(reader, entry))
        told(len(counts), len(diff.entries))
    return counts


def _line_counts(reader: "_Reader", entry: DiffEntry) -> tuple[int, int] | None:
    old, new = reader.sides(entry)
    sides = [side for side in (old, new) if side]
    if not sides or any(side.text is None for side in sides):
        return None
    spans = changed_spans(_lines(old), _lines(new))
    return sum(b1 - b0 for _, _, b0, b1 in spans), sum(a1 - a0 for a0, a1, _, _ in spans)


def _bodies_on(diff: FilesystemDiff, a: Disk, b: Disk) -> Bodies:
    """Files' bodies on two disks."""
    old = [entry.before.inode for entry in diff.entries if entry.before]
    new = [entry.after.inode for entry in diff.entries if entry.after]
    loaded = (Loaded.of(Volume(a), old), Loaded.of(Volume(b), new))

    def body(after: bool, _: bytes, meta: Meta) -> Body:
        content = loaded[after].content(meta)
        return content.read(meta.size) if meta.size <= MAX_TEXT_BYTES else content

    return body


class _Reader:
    """Fetches the versions of files; `left_out` of a patch to apply are those too large for it, else None."""

    def __init__(self, bodies: Bodies, left_out: frozenset[bytes] | None = None) -> None:
        self._bodies = bodies
        self.whole = left_out is not None
        self.left_out = left_out or frozenset()

    def sides(self, entry: DiffEntry) -> tuple[_Side | None, _Side | None]:
        """Both versions as git sees them, None where it sees nothing."""
        return (
            self._side(False, entry.source or entry.path, entry.before),
            self._side(True, entry.path, entry.after),
        )

    def _side(self, after: bool, path: bytes, meta: Meta | None) -> _Side | None:
        name = path.removeprefix(b"/")
        if meta is None or not is_in_git(meta) or (self.whole and is_refused(name, meta)):
            return None
        if meta.target is not None:
            return _Side(name, b"120000", len(meta.target), meta.target)
        mode = b"100755" if meta.mode & 0o100 else b"100644"
        return _Side(name, mode, meta.size, self._bodies(after, path, meta))


def _too_large(entries: Iterable[DiffEntry], limit_bytes: int) -> frozenset[bytes]:
    """Paths of entries beyond what may be in a patch to apply, and those below a file that stays for that reason."""
    found, staying = set[bytes](), set[bytes]()
    fitting = []
    for entry in entries:
        size = sum(meta.size for meta in (entry.before, entry.after) if meta and is_in_git(meta))
        if size <= limit_bytes:
            limit_bytes -= size
            fitting.append(entry)
            continue
        found.add(entry.path)
        if is_in_git(entry.before):
            staying.add(entry.source or entry.path)
    below = (entry.path for entry in fitting if parents_of([entry], after=True) & staying)
    return frozenset(found.union(below if staying else ()))


def _file_patch(reader: _Reader, entry: DiffEntry) -> Iterator[bytes]:
    old, new = reader.sides(entry)
    if reader.whole:
        yield from _refused(entry, old, new)
        if entry.path in reader.left_out:
            yield b"# %s: too large for a patch beside the others\n" % quoted(entry.path)
            return
    if old and new and old.mode[:3] != new.mode[:3]:  # git has no change of type
        yield from _versions(old, None, same=False, whole=reader.whole)
        yield from _versions(None, new, same=False, whole=reader.whole)
    elif old or new:
        same = bool(old and new) and not entry.what & {Aspect.CONTENT, Aspect.TARGET}
        yield from _versions(old, new, same, reader.whole)


def _refused(entry: DiffEntry, old: _Side | None, new: _Side | None) -> Iterator[bytes]:
    """Remarks on files that git never takes from a patch."""
    for path, meta, side in ((entry.source or entry.path, entry.before, old), (entry.path, entry.after, new)):
        if is_in_git(meta) and side is None:
            yield b"# %s: git refuses to touch this path\n" % quoted(path)


def _emptied(diff: FilesystemDiff, after: Volume) -> Iterator[bytes]:
    """Remarks on directories that stay though their last file went: git removes those."""
    gone = [entry for entry in diff.entries if is_in_git(entry.before) and not is_in_git(entry.after)]
    gone += [
        replace(entry, path=entry.source)
        for entry in diff.entries
        if entry.source and is_in_git(entry.before)
    ]
    for path in sorted({entry.path.rpartition(b"/")[0] for entry in gone} - {b""}):
        if names_at(after, path) == {}:
            yield b"# +%s: directory\n" % quoted(path)


def _versions(old: _Side | None, new: _Side | None, same: bool, whole: bool) -> Iterator[bytes]:
    header = list(_extended_header(old, new, same))
    body = [] if same else _body(old, new, whole)
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


def _body(old: _Side | None, new: _Side | None, whole: bool) -> Iterator[bytes]:
    left = quoted(b"a/" + old.name) if old else b"/dev/null"
    right = quoted(b"b/" + new.name) if new else b"/dev/null"
    sides = [side for side in (old, new) if side]
    if not whole and any(side.large for side in sides):
        size = max(side.size for side in sides)
        yield b"Files %s and %s differ: too large to show (%d bytes)\n" % (left, right, size)
        return
    opaque = any(side.text is None for side in sides)
    digits = 40 if opaque and whole else _SHOWN_DIGITS
    blobs = tuple((side.blob if side else _NO_BLOB)[:digits] for side in (old, new))
    yield b"index %s..%s%s\n" % (*blobs, _same_mode(old, new))
    if opaque and whole:
        yield from binary_patch(*((side.size, side.pieces) if side else (0, ()) for side in (old, new)))
    elif opaque:
        yield b"Binary files %s and %s differ\n" % (left, right)
    elif any(side.text for side in sides):
        yield b"--- %s%s\n+++ %s%s\n" % (left, _tab(left), right, _tab(right))
        yield from hunks(_lines(old), _lines(new))


def _same_mode(old: _Side | None, new: _Side | None) -> bytes:
    return b" " + old.mode if old and new and old.mode == new.mode else b""


def _tab(name: bytes) -> bytes:
    """git ends a name that holds a space with a tab, so that patch(1) finds where it ends."""
    return b"\t" if b" " in name else b""


def _lines(side: _Side | None) -> list[bytes]:
    return as_lines((side and side.text) or b"")


def as_lines(data: bytes) -> list[bytes]:
    """The lines of a text, each with its newline but perhaps the last."""
    lines = data.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + [line for line in lines[-1:] if line]


def is_binary(data: bytes) -> bool:
    """Does git call it binary?"""
    return b"\0" in data[:_PROBE_BYTES]
