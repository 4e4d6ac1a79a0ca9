"""A segment's file as it is found: its head, its end, and the last of its entries."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from core.errors import Damaged
from core.files import Files, file_bytes, listed, os_files, read_error
from core.journal.entry import JournalHead
from core.journal.lines import backward, forward, torn_at
from core.journal.record import beginning, hash_in, is_whole, read_entry, read_head

ENDING, BODIES, ASIDE = ".journal", ".bodies", "aside"
TORN_BYTES = 1 << 20  # of a segment's end, where what a crash left is looked for
RECENT = 1000  # entries whose requests are remembered, also by a new daemon: one sent again makes no other
KEY = re.compile(rb',"key":"([^"\\]+)"')

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tip:
    """The end of a segment: its bytes, and number, hash, time and mark of the last entry of its chain; and the end of
    its long bodies.
    """

    size: int
    seq: int
    hash: str
    time: float = 0.0
    mark: int = 0
    bodies: int = 0

    @classmethod
    def of(cls, head: JournalHead, size: int = 0, bodies: int = 0) -> "Tip":
        """The end of one that has no entries."""
        return cls(size, head.seq, head.parent_hash, mark=head.mark, bodies=bodies)


@dataclass(frozen=True)
class FoundSegment:
    """A segment that is there, and the requests that made the last of its own entries, oldest first."""

    head: JournalHead
    tip: Tip
    keys: tuple[tuple[str, int], ...] = ()


def file_of(directory: Path, branch: str) -> Path:
    """A branch's segment."""
    return directory / f"{branch}{ENDING}"


def bodies_of(directory: Path, branch: str) -> Path:
    """The file of the long bodies of a branch's own entries, one behind the other."""
    return directory / f"{branch}{BODIES}"


def segments(directory: Path) -> list[str]:
    """The branches that have a segment, or its bodies alone, when a crash came between the two."""
    return sorted({path.stem for ending in (ENDING, BODIES) for path in listed(directory, f"*{ending}")})


def taken_bytes(directory: Path, branch: str) -> int:
    """How long a branch's segment and bodies are."""
    return file_bytes(file_of(directory, branch)) + file_bytes(bodies_of(directory, branch))


def remove(directory: Path, branch: str, files: Files = os_files) -> None:
    """Remove a branch's segment and bodies; idempotent."""
    files.unlink(file_of(directory, branch))
    files.unlink(bodies_of(directory, branch))


def set_aside(directory: Path, branch: str, files: Files = os_files) -> None:
    """Keep a branch's segment and bodies beside all others, which have no part in it any more."""
    files.mkdir(directory / ASIDE)
    for path in (file_of(directory, branch), bodies_of(directory, branch)):
        if path.exists():
            files.rename(path, directory / ASIDE / path.name)


@contextmanager
def opened(path: Path) -> Iterator[int | None]:
    """A segment's descriptor for reading, None of one that is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise read_error(error, f"journal {path.name}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def head_of(descriptor: int, size: int) -> JournalHead | None:
    """The head of a segment, None when its first line is not whole."""
    _, first = next(forward(descriptor, 0, size), (0, b""))
    return read_head(first)


def found_tip(directory: Path, branch: str, files: Files = os_files) -> FoundSegment | None:
    """A branch's segment, once what a crash left half written is cut off; None when there is none, or nothing whole.

    Damaged when its head or its last line cannot be read: nothing can be chained to that.
    """
    path = file_of(directory, branch)
    with opened(path) as descriptor:
        if descriptor is None:
            return None
        size = _cut(descriptor, path, files)
        if size == 0:
            return None
        head = head_of(descriptor, size)
        found = list(islice(backward(descriptor, size), RECENT))
        ended = os.pread(descriptor, 1, size - 1) == b"\n"
    if head is None or head.journal != branch:
        raise _unreadable(branch, "its head is")
    lines = [line for place, line in found if place]
    bodies = file_bytes(bodies_of(directory, branch))
    if not lines:
        return FoundSegment(head, Tip.of(head, size, bodies))
    last = read_entry(lines[0])
    if not last.hash or not is_whole(lines[0]) or not ended:
        raise _unreadable(branch, "its last entry is")
    keys = tuple(pair for line in reversed(lines) for pair in _key(line))
    tip = Tip(size, last.seq, hash_in(lines[0]), last.time, last.mark, bodies)
    return FoundSegment(head, tip, keys)


def _key(line: bytes) -> Iterator[tuple[str, int]]:
    """The request that made an entry, and the entry's number; nothing where it tells of none."""
    told, key = beginning(line), KEY.search(line)
    if told and key:
        yield key[1].decode(errors="replace"), told[1]


def _cut(descriptor: int, path: Path, files: Files) -> int:
    """Cut off what a crash left; the size that is left."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - TORN_BYTES)
    torn = torn_at(os.pread(descriptor, size - start, start))
    if torn is None:
        return size
    logger.warning(
        "journal %s: %d bytes that a crash left unfinished are cut off", path.stem, size - start - torn
    )
    files.cut(path, start + torn)
    files.fsync(path)
    return start + torn


def _unreadable(branch: str, what: str) -> Damaged:
    return Damaged(
        f"journal {branch} takes no more: {what} not what was written; `vertui journal verify` tells more"
    )
