"""A host's mirrors taken back from a guest: what `core.engine.handing` wrote goes, and what it had put aside is back.

What it writes begins with a line that says so and has the sum of what follows, so that nothing of anybody else's is
taken for it; what it replaces stands in that as comments.
"""

import os
import re
from collections.abc import Iterable, Mapping
from zlib import crc32

MARK = "of the host that this machine was started on (vertui up --mirrors)"
FIRST = re.compile(rb"^(?:#|//|;) " + re.escape(MARK.encode()) + rb"(?: \[([0-9a-f]{8})\])?\n", re.MULTILINE)
WAS = "#was: "


def marked(comment: str, lines: Iterable[str], replaced: str = "") -> str:
    """Lines of a file as they are written, below their mark; the text that they replace is kept among them."""
    kept = (f"{WAS}{line}" for line in replaced.removesuffix("\n").split("\n") if replaced)
    body = "".join(f"{line}\n" for line in (*lines, *kept))
    return f"{comment} {MARK} [{crc32(os.fsencode(body)):08x}]\n{body}"


def without(text: bytes) -> bytes | None:
    """A file without what is marked; None where somebody has changed that since, or it says too little of itself."""
    mark = FIRST.search(text)
    if mark is None:
        return text
    if mark[1] is None:  # of an earlier vertui: to its end, where that replaced nothing
        return None if b"\ndeb" in text else text[: mark.start()]
    body, end, wanted = text[mark.end() :], 0, int(mark[1], 16)
    sum_ = crc32(b"")
    while sum_ != wanted:
        after = body.find(b"\n", end) + 1
        if not after:
            return None
        sum_, end = crc32(body[end:after], sum_), after
    was = WAS.encode()
    kept = b"".join(line[len(was) :] + b"\n" for line in body[:end].split(b"\n") if line.startswith(was))
    return text[: mark.start()] + kept + body[end:]


def without_all(present: Mapping[str, bytes], longest: int) -> tuple[dict[str, str], list[str], list[str]]:
    """Of a guest's files: those to write and their texts, those to remove, those that stay though they are marked."""
    written: dict[str, str] = {}
    removed: list[str] = []
    stay: list[str] = []
    for path, text in present.items():
        if FIRST.search(text) is None:
            continue
        rest = without(text) if len(text) < longest else None
        if rest is None:
            stay.append(path)
        elif rest:
            written[path] = os.fsdecode(rest)
        else:
            removed.append(path)
    return written, removed, stay
