"""How many rows of a terminal the lines of a change take, when they are folded to a width."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from rich.cells import cell_len

from vertui.compare.change import NOWHERE, FilePatch, LinePart

WIDEST = 10  # cells that a byte may take: a character that is escaped


def ends_of(change: FilePatch, rooms: Sequence[int]) -> array[int]:
    """Where the rows of each item end: of each line in one column, or of each pair in two, as wide as these."""
    ends, at = array("I"), 0
    if len(rooms) == 1:
        for line in range(len(change)):
            at += height(change, line, rooms[0])
            ends.append(at)
        return ends
    for left, right in zip(change.left, change.right, strict=True):
        at += max(height(change, left, rooms[0]), height(change, right, rooms[1]))
        ends.append(at)
    return ends


def height(change: FilePatch, line: int, room: int) -> int:
    """The rows of one line."""
    if line == NOWHERE or change.parts[line] in (LinePart.HUNK, LinePart.REMARK):
        return 1
    if (change.ends[line] - change.starts[line]) * WIDEST <= room:
        return 1
    return len(cuts(change.text(line), room))


def cuts(text: str, room: int) -> list[int]:
    """Where the rows of a line begin."""
    room = max(2, room)  # of the widest character
    if text.isascii():
        return list(range(0, len(text), room)) or [0]
    found, cells = [0], 0
    for index, char in enumerate(text):
        width = cell_len(char)
        if cells + width > room:
            found.append(index)
            cells = 0
        cells += width
    return found


def index_of(side: array[int], line: int) -> int:
    """Where a line stands on one side of two: its lines rise, but for the gaps."""
    low, high = 0, len(side)
    while low < high:
        middle = probe = (low + high) // 2
        while probe < high and side[probe] == NOWHERE:
            probe += 1
        if probe == high or side[probe] > line:
            high = middle
        elif side[probe] == line:
            return probe
        else:
            low = probe + 1
    return low
