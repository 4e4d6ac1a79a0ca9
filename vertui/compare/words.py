"""What differs between two lines of which one stands in the other's place: words, not letters."""

import re
from difflib import SequenceMatcher

WORD = re.compile(r"\w+|\s+|.", re.DOTALL)
MOST_WORDS = 250  # of a line that are compared: it takes the square of their number
LEAST_ALIKE = 0.35  # lines with less in common are two lines, and marking all of both says nothing

Spans = tuple[tuple[int, int], ...]
NONE: tuple[Spans, Spans] = ((), ())


def changed_words(old: str, new: str) -> tuple[Spans, Spans]:
    """The spans of each line that the other has not; none where the lines have too little in common."""
    left, right = (WORD.findall(line) for line in (old, new))
    if max(len(left), len(right)) > MOST_WORDS:
        return NONE
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    if matcher.quick_ratio() < LEAST_ALIKE or matcher.ratio() < LEAST_ALIKE:
        return NONE
    at = [_offsets(words) for words in (left, right)]
    found: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    for tag, a0, a1, b0, b1 in matcher.get_opcodes():
        if tag != "equal":
            for side, start, end in ((0, a0, a1), (1, b0, b1)):
                if end > start:
                    found[side].append((at[side][start], at[side][end]))
    return tuple(found[0]), tuple(found[1])


def _offsets(words: list[str]) -> list[int]:
    offsets = [0]
    for word in words:
        offsets.append(offsets[-1] + len(word))
    return offsets
