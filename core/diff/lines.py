"""Line differences of two texts, bounded in time whatever they hold, and what two changes make together.

Patience first: lines that are unique in both texts and in the same order are anchors (Cohen; Knuth's longest
increasing run of cards), and only what lies between two anchors is left to difflib, whose time can grow with the
square of the length. A gap too long for it counts as replaced whole: a longer patch, never a wrong one.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

Lines = Sequence[bytes]
Span = tuple[int, int, int, int]
"""Lines [a0, a1) of the old text stand where lines [b0, b1) of the new one do."""

_MAX_GAP_LINES = 1000


def changed_spans(old: Lines, new: Lines) -> list[Span]:
    """The spans in which the texts differ, in order, none touching the next."""
    spans: list[Span] = []
    for a0, a1, b0, b1 in _differing(old, new):
        if spans and spans[-1][1] == a0 and spans[-1][3] == b0:
            a0, b0 = spans[-1][0], spans[-1][2]
            spans.pop()
        spans.append((a0, a1, b0, b1))
    return spans


def merge_lines(old: Lines, ours: Lines, theirs: Lines) -> list[bytes] | None:
    """`old` with the changes of both; None when two overlap or touch and are not the same."""
    edits = {
        (a0, a1, tuple(new[b0:b1])) for new in (ours, theirs) for a0, a1, b0, b1 in changed_spans(old, new)
    }
    merged, at, end = list[bytes](), 0, -1
    for a0, a1, lines in sorted(edits):
        if a0 <= end:
            return None
        merged += [*old[at:a0], *lines]
        at = end = a1
    return [*merged, *old[at:]]


def only_at(old: Lines, new: Lines, first: int, last: int) -> list[bytes]:
    """`old` with those changes of `new` alone that touch lines `first` to `last` of it, counted from 1; lines that went
    touch both that they stood between.
    """
    made, at = list[bytes](), 0
    for a0, a1, b0, b1 in changed_spans(old, new):
        begin, end = (b0 + 1, b1) if b0 < b1 else (b0, b0 + 1)
        if begin <= last and end >= first:
            made += [*old[at:a0], *new[b0:b1]]
            at = a1
    return [*made, *old[at:]]


def _differing(old: Lines, new: Lines) -> Iterator[Span]:
    a0 = b0 = 0
    for a1, b1 in [*_anchors(old, new), (len(old), len(new))]:
        yield from _gap(old, new, (a0, a1, b0, b1))
        a0, b0 = a1 + 1, b1 + 1


def _anchors(old: Lines, new: Lines) -> list[tuple[int, int]]:
    """The longest rising sequence of (old, new) positions of lines that are unique in both."""
    once = [{line for line, count in Counter(text).items() if count == 1} for text in (old, new)]
    where = {line: at for at, line in enumerate(new) if line in once[1]}
    pairs = [(at, where[line]) for at, line in enumerate(old) if line in once[0] and line in where]
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for at, (_, position) in enumerate(pairs):
        pile = bisect_left(ends, position)
        before.append(last[pile - 1] if pile else -1)
        ends[pile : pile + 1] = [position]
        last[pile : pile + 1] = [at]
    chain, at = [], last[-1] if last else -1
    while at >= 0:
        chain.append(pairs[at])
        at = before[at]
    return chain[::-1]


def _gap(old: Lines, new: Lines, span: Span) -> Iterator[Span]:
    a0, a1, b0, b1 = span
    while a0 < a1 and b0 < b1 and old[a0] == new[b0]:
        a0, b0 = a0 + 1, b0 + 1
    while a0 < a1 and b0 < b1 and old[a1 - 1] == new[b1 - 1]:
        a1, b1 = a1 - 1, b1 - 1
    if a0 == a1 or b0 == b1 or a1 - a0 + b1 - b0 > _MAX_GAP_LINES:
        if a0 < a1 or b0 < b1:
            yield a0, a1, b0, b1
        return
    matcher = SequenceMatcher(None, old[a0:a1], new[b0:b1])
    for tag, i0, i1, j0, j1 in matcher.get_opcodes():
        if tag != "equal":
            yield a0 + i0, a0 + i1, b0 + j0, b0 + j1


def hunks(old: Lines, new: Lines, context: int = 3) -> Iterator[bytes]:
    """The body of a unified diff, one line at a time, each with its newline."""
    group: list[Span] = []
    for span in changed_spans(old, new):
        if group and span[0] - group[-1][1] > 2 * context:
            yield from _hunk(old, new, group, context)
            group = []
        group.append(span)
    if group:
        yield from _hunk(old, new, group, context)


def _hunk(old: Lines, new: Lines, group: list[Span], context: int) -> Iterator[bytes]:
    lead = min(context, group[0][0], group[0][2])
    a0, b0 = group[0][0] - lead, group[0][2] - lead
    a1, b1 = min(len(old), group[-1][1] + context), min(len(new), group[-1][3] + context)
    yield b"@@ -%s +%s @@\n" % (_range(a0, a1), _range(b0, b1))
    for first, end, new_first, new_end in group:
        yield from _marked(b" ", old[a0:first])
        yield from _marked(b"-", old[first:end])
        yield from _marked(b"+", new[new_first:new_end])
        a0 = end
    yield from _marked(b" ", old[a0:a1])


def _range(first: int, end: int) -> bytes:
    """A unified diff counts from 1, names the line before an empty range, and leaves out a count of 1."""
    count = end - first
    if count == 1:
        return b"%d" % (first + 1)
    return b"%d,%d" % (first + 1 if count else first, count)


def _marked(mark: bytes, lines: Lines) -> Iterator[bytes]:
    for line in lines:
        yield mark + line if line.endswith(b"\n") else mark + line + b"\n\\ No newline at end of file\n"
