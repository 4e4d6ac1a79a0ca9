"""A patch as lines to look at: only \\n ends one, every character that is not seen is escaped, and what a line is comes
from where it stands: hunks say how many lines they have, so nothing in a file can pose as the head of another.
"""

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum

from vertui.text import printable

TAB = 8
HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
REMARK = re.compile(rb"^#.*\n", re.MULTILINE)  # no line of a patch but a remark begins so


class LineKind(StrEnum):
    """What a line of a patch is."""

    HEAD = "head"
    HUNK = "hunk"
    ADDED = "added"
    REMOVED = "removed"
    CONTEXT = "context"
    REMARK = "remark"


SIGNS = {b"+": LineKind.ADDED, b"-": LineKind.REMOVED, b" ": LineKind.CONTEXT}


def patch_lines(data: bytes) -> Iterator[tuple[LineKind, str]]:
    """Every line of a unified text diff."""
    before = after = 0  # lines that the hunk still has of each side
    for line in _lines(data):
        part = SIGNS.get(line[:1]) if before or after else None
        if line.startswith(b"\\"):
            part = LineKind.REMARK
        elif part is None:
            found = HUNK.match(line)
            before, after = (int(count or 1) for count in found.group(2, 4)) if found else (0, 0)
            part = LineKind.HUNK if found else LineKind.HEAD
        else:
            before -= part is not LineKind.ADDED
            after -= part is not LineKind.REMOVED
        yield part, shown(line)


def without_remarks(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, list[str]]]:
    """A patch to apply as it comes, and what each part of it leaves out, which is told in lines that are no patch."""
    for lines in _whole_lines(pieces):
        told = [remark[2:].decode(errors="backslashreplace").strip() for remark in REMARK.findall(lines)]
        yield REMARK.sub(b"", lines), told


def shown(line: bytes) -> str:
    """One line of a file as text: tabs as spaces, all else that is not seen escaped."""
    fields = line.decode(errors="backslashreplace").split("\t")
    return "\t".join(printable(field) for field in fields).expandtabs(TAB)


def _whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        whole, newline, rest = (rest + piece).rpartition(b"\n")
        yield whole + newline
    yield rest


def _lines(data: bytes) -> Iterable[bytes]:
    *lines, rest = data.split(b"\n")
    return [*lines, rest] if rest else lines
