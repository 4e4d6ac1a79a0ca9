"""Merging busy intervals and finding what lies between them."""


def merge(busy):
    """Overlapping or touching intervals joined, in order."""
    merged = []
    for start, end in sorted(busy):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def free(busy, day):
    """The intervals of `day` in which nobody is busy."""
    opens, closes = day
    found = []
    for start, end in merge(busy):
        if start > opens:
            found.append((opens, min(start, closes)))
        opens = max(opens, end)
    if opens < closes:
        found.append((opens, closes))
    return found
