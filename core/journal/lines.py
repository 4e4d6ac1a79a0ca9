"""Lines of a segment: from a place on, from the end, found by number; and where a crash has torn it."""

import os
from collections.abc import Iterator

from core.journal.record import TAIL_BYTES, beginning, is_whole

BLOCK_BYTES = 256 * 1024
NEAR_BYTES = 8192  # of a segment: from here on to look at each line is as fast as to halve what is left
HOLE = bytes(512)  # what a crash of the host leaves where data never came; no line has a NUL
LONGEST_LINE = 1 << 20  # bytes; what is longer is no line of ours, and is shown in pieces


def forward(descriptor: int, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Each line from one place to another, with its own place."""
    rest, at = b"", start
    while at < end:
        block = os.pread(descriptor, min(BLOCK_BYTES, end - at), at)
        if not block:
            return
        lines = (rest + block).split(b"\n")
        place = at - len(rest)
        at += len(block)
        rest = lines.pop()
        for line in lines:
            yield place, line
            place += len(line) + 1
        if len(rest) > LONGEST_LINE:
            yield place, rest
            rest = b""
    if rest:
        yield end - len(rest), rest


def backward(descriptor: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Each line before a place where one ends, the last one first."""
    ended = end == 0 or os.pread(descriptor, 1, end - 1) == b"\n"
    rest, at = b"" if ended else b"\n", end
    while at > 0:
        size = min(BLOCK_BYTES, at)
        at -= size
        block = os.pread(descriptor, size, at) + rest
        lines = block[:-1].split(b"\n")
        rest = lines.pop(0) + b"\n" if at else b""
        place = at + len(block)
        for line in reversed(lines):
            place -= len(line) + 1
            yield place, line


def place_of(descriptor: int, seq: int, end: int) -> int:
    """Where the first entry of at least this number begins; `end` for none. Numbers only grow, so halves are enough."""
    low, high = 0, end
    while high - low > NEAR_BYTES:
        middle = (low + high) // 2
        found = _next(descriptor, middle, high)
        if found is None or found >= seq:
            high = middle
        else:
            low = middle
    for place, line in forward(descriptor, 0 if low == 0 else _line_after(descriptor, low, end), end):
        told = beginning(line)
        if told and told[1] >= seq:
            return place
    return end


def torn_at(tail: bytes) -> int | None:
    """Where in the last bytes of a segment begins what a crash left half written; None when nothing is.

    A whole line whose newline alone was changed was no crash, and stays for `verify` to name.
    """
    hole = tail.find(HOLE)
    if hole >= 0:
        return tail.rfind(b"\n", 0, hole) + 1
    if not tail or tail.endswith(b"\n"):
        return None
    begins = tail.rfind(b"\n") + 1
    last = tail[begins:]
    return None if len(last) > TAIL_BYTES and is_whole(last[:-1]) else begins


def _next(descriptor: int, place: int, end: int) -> int | None:
    """The number of the first entry that begins after a place."""
    for _, line in forward(descriptor, _line_after(descriptor, place, end), end):
        if told := beginning(line):
            return told[1]
    return None


def _line_after(descriptor: int, place: int, end: int) -> int:
    """Where the first line begins after a place within one."""
    at = place
    while at < end:
        block = os.pread(descriptor, min(NEAR_BYTES, end - at), at)
        if not block:
            return end
        found = block.find(b"\n")
        if found >= 0:
            return at + found + 1
        at += len(block)
    return end
