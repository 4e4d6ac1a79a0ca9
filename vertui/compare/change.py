"""One file's part of a patch. Its bytes are kept as they came; a line becomes text when somebody looks at it.

What a line is comes from where it stands: hunks say how many lines they have, so nothing in a file can pose as the head
of another (`vertui.patches`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import repeat

from msgspec import Struct

from core.diff.carry import quoted
from core.diff.entry import DiffKind
from core.diff.result import FileDiff, SiblingRow
from core.names import meant
from vertui.patches import HUNK, shown

LONGEST_LINE = 2000  # characters shown of one line
MOST_BYTES = 4 * LONGEST_LINE  # of a line that are looked at for them
MOST_BLANK = 1000  # lines of a block that are looked through for what is no white space
SECTION = b"diff --git "
SAID_ELSEWHERE = (b"index ", b"--- ", b"+++ ", SECTION)  # the title has the names


Spans = Sequence[tuple[int, int]]
"""Lengths of a line's parts, and what each is (`vertui.compare.colourist`)."""


class LinePart(IntEnum):
    """What a line of a change is."""

    HUNK = 0
    CONTEXT = 1
    ADDED = 2
    REMOVED = 3
    REMARK = 4


SIGNS = {32: LinePart.CONTEXT, 43: LinePart.ADDED, 45: LinePart.REMOVED}
NOWHERE = -1


class Block(Struct, frozen=True, gc=False):
    """Lines that changed: from `first` to before `added` were removed, from there to before `end` added."""

    first: int
    added: int
    end: int

    @property
    def pairs(self) -> int:
        """How many of its lines have one that stands in their place."""
        return min(self.added - self.first, self.end - self.added)

    def partner(self, line: int) -> int:
        """The line that stands for this one on the other side, or NOWHERE."""
        index = line - (self.added if line >= self.added else self.first)
        return (self.first if line >= self.added else self.added) + index if index < self.pairs else NOWHERE

    def is_blank(self, change: FilePatch) -> bool:
        """Does it change white space alone?"""
        if self.end - self.first > MOST_BLANK:
            return False
        sides = (range(self.first, self.added), range(self.added, self.end))
        old, new = (b"".join(b"".join(change.raw(line).split()) for line in side) for side in sides)
        return old == new


@dataclass(eq=False)
class FilePatch:
    """Lines by number; `old` and `new` are a line's numbers in the file before and after, 0 where it is not there, and
    `last` is the largest of them. `unended` are lines that no newline ends. Side by side row n has line `left[n]` and
    line `right[n]`, or NOWHERE. `colours` come later, of some lines.
    """

    data: bytes = b""
    starts: array[int] = field(default_factory=lambda: array("I"))
    ends: array[int] = field(default_factory=lambda: array("I"))
    parts: bytearray = field(default_factory=bytearray)
    old: array[int] = field(default_factory=lambda: array("I"))
    new: array[int] = field(default_factory=lambda: array("I"))
    blocks: list[Block] = field(default_factory=list)
    unended: set[int] = field(default_factory=set)
    last: int = 0
    left: array[int] = field(default_factory=lambda: array("i"))
    right: array[int] = field(default_factory=lambda: array("i"))
    colours: dict[int, Spans] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.parts)

    def part(self, line: int) -> LinePart:
        """What a line is."""
        return LinePart(self.parts[line])

    def raw(self, line: int) -> bytes:
        """A line without its sign, as far as it is looked at."""
        start = self.starts[line]
        return self.data[start : min(self.ends[line], start + MOST_BYTES)]

    def text(self, line: int) -> str:
        """A line as it can be shown; one that is longer says by how much."""
        start, end = self.starts[line], self.ends[line]
        text = shown(self.raw(line))
        if len(text) <= LONGEST_LINE and end - start <= MOST_BYTES:
            return text
        return f"{text[:LONGEST_LINE]}… ({end - start} bytes)"

    def block_at(self, line: int) -> int:
        """The index of the block that a line is in, or NOWHERE."""
        index = bisect_right(self.blocks, line, key=lambda block: block.first) - 1
        return index if index >= 0 and line < self.blocks[index].end else NOWHERE

    def block_from(self, line: int, by: int) -> int:
        """The index of the first block that begins below a line, or of the last one above it; of none, it is none."""
        bisect = bisect_right if by > 0 else bisect_left
        return bisect(self.blocks, line, key=lambda block: block.first) - (by < 0)

    def span_of(self, index: int) -> str:
        """The lines that a block is in the file after the change, as `apply` is told them; of one that only takes away
        the line before.
        """
        block = self.blocks[index]
        if block.added < block.end:
            return f"{self.new[block.added]}-{self.new[block.end - 1]}"
        before = self.new[block.first - 1] if block.first else 0
        return str(max(1, before))

    def hunks(self) -> Iterator[tuple[int, int]]:
        """The lines of each hunk, from its first to before its end."""
        begin = None
        for line, part in enumerate(self.parts):
            if part in (LinePart.HUNK, LinePart.REMARK):
                if begin is not None:
                    yield begin, line
                begin = line + 1 if part == LinePart.HUNK else None
        if begin is not None:
            yield begin, len(self)


def change_of(entry: FileDiff, patch: bytes) -> FilePatch:
    """The part of a patch that is of this entry, and of no other that came with it."""
    return read(patch, heading(entry))


def heading(entry: FileDiff) -> bytes:
    """How the part of a file begins."""
    after = _exact(entry.path, entry.path_hex)
    moved = entry.kind is DiffKind.RENAMED and entry.source is not None
    return _heading(_exact(entry.source or "", entry.source_hex) if moved else after, after)


def gathered(row: SiblingRow, patches: Iterable[tuple[str, bytes]]) -> FilePatch:
    """What several states did to one path, each below a title."""
    data, titles = bytearray(), set[int]()
    for title, patch in patches:
        titles.add(len(data))
        data += title.encode() + b"\n" + patch
        if not data.endswith(b"\n"):
            data += b"\n"
    path = _exact(row.path, row.path_hex)
    return read(bytes(data), _heading(path, path), titles)


def _heading(before: bytes, after: bytes) -> bytes:
    return SECTION + b" ".join(quoted(side + name) for side, name in ((b"a", before), (b"b", after)))


def names_of(*paths: str) -> tuple[list[str], list[str]]:
    """What to ask for to be told of these paths alone: they, and globs to ignore, as something may lie below what
    is or was a folder.
    """
    return list(paths), [f"{_literal(path)}/*" for path in paths]


def read(patch: bytes, wanted: bytes | None = None, titles: Collection[int] = ()) -> FilePatch:
    """All of a patch, or the parts of it that begin so. `titles` are the places of lines that are none of it."""
    change, reader = FilePatch(patch), _PatchReader(wanted is None)
    for start, end in _spans(patch):
        if start in titles:
            reader.title(change, start, end)
        else:
            reader.take(change, start, end, wanted)
    reader.close(change)
    _put_side_by_side(change)
    return change


class _PatchReader:
    """Goes through the lines of a patch: how many lines the hunk still has of each side, and their numbers."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._left = [0, 0]
        self._next = [0, 0]
        self._first = self._added = NOWHERE  # of the block that is going on

    def title(self, change: FilePatch, start: int, end: int) -> None:
        """A line of ours: what comes below it is of no file yet."""
        self._wanted, self._left = True, [0, 0]
        self._put(change, LinePart.REMARK, start, end)
        self._wanted = False

    def take(self, change: FilePatch, start: int, end: int, wanted: bytes | None) -> None:
        """One line of the patch."""
        data = change.data
        part = SIGNS.get(data[start]) if any(self._left) and end > start else None
        if part is not None:
            self._of_a_hunk(change, part, start + 1, end)
            return
        if data.startswith(b"\\", start):
            if self._wanted and len(change):
                change.unended.add(len(change) - 1)
            return
        self._left = [0, 0]
        if data.startswith(SECTION, start):
            self._wanted = wanted is None or data[start:end] == wanted
        found = HUNK.match(data, start, end)
        if found:
            change.last = max(change.last, *self._next)
            self._left = [int(count or 1) for count in found.group(2, 4)]
            self._next = [int(number) for number in found.group(1, 3)]
            self._put(change, LinePart.HUNK, start, end)
        elif not data.startswith((*SAID_ELSEWHERE, b"# "), start):
            self._put(change, LinePart.REMARK, start, end)

    def _of_a_hunk(self, change: FilePatch, part: LinePart, start: int, end: int) -> None:
        numbers = [0, 0]
        for side, other in ((0, LinePart.ADDED), (1, LinePart.REMOVED)):
            if part is not other:
                numbers[side] = self._next[side]
                self._next[side] += 1
                self._left[side] -= 1
        self._put(change, part, start, end, *numbers)

    def _put(
        self, change: FilePatch, part: LinePart, start: int, end: int, old: int = 0, new: int = 0
    ) -> None:
        if not self._wanted:
            return
        line = len(change)
        if part is LinePart.REMOVED and (self._first == NOWHERE or self._added != NOWHERE):
            self.close(change)
            self._first = line
        elif part is LinePart.ADDED and self._added == NOWHERE:
            self._first, self._added = (line if self._first == NOWHERE else self._first), line
        elif part not in (LinePart.ADDED, LinePart.REMOVED):
            self.close(change)
        change.parts.append(part)
        change.starts.append(start)
        change.ends.append(end)
        change.old.append(old)
        change.new.append(new)

    def close(self, change: FilePatch) -> None:
        """The block that was going on has ended."""
        change.last = max(change.last, *self._next)
        if self._first != NOWHERE:
            end = len(change)
            change.blocks.append(Block(self._first, end if self._added == NOWHERE else self._added, end))
        self._first = self._added = NOWHERE


def _put_side_by_side(change: FilePatch) -> None:
    line = 0
    for block in (*change.blocks, Block(len(change), len(change), len(change))):
        for side in (change.left, change.right):
            side.extend(range(line, block.first))
        old, new = range(block.first, block.added), range(block.added, block.end)
        rows = max(len(old), len(new))
        change.left.extend((*old, *repeat(NOWHERE, rows - len(old))))
        change.right.extend((*new, *repeat(NOWHERE, rows - len(new))))
        line = block.end


def _spans(data: bytes) -> Iterator[tuple[int, int]]:
    """Where lines begin and end; only a newline ends one."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        yield start, end
        start = end + 1


def _exact(path: str, as_hex: str | None) -> bytes:
    return bytes.fromhex(as_hex) if as_hex else meant(path)


def _literal(path: str) -> str:
    """A path as a glob that is it alone."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in path)
