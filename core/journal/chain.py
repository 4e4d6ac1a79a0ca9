"""A branch's chain, read from a number on, from the end, or for a text; what is not asked for is not read."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from msgspec.structs import replace

from core.journal.entry import JournalEntry, PackedBody, Ranges
from core.journal.lines import backward, forward, place_of
from core.journal.record import APART, EXEC, read_entry, unpacked
from core.journal.segment import bodies_of, file_of, opened

LOOKED_BYTES = 4 << 20  # between two chances to leave off


@dataclass(frozen=True)
class ChainStretch:
    """What a chain has of a segment: bytes up to `end`, in which the entries up to number `last` are its own."""

    directory: Path
    branch: str
    end: int
    last: int | None = None

    @property
    def file(self) -> Path:
        """The segment."""
        return file_of(self.directory, self.branch)

    def body(self, body: PackedBody) -> bytes | None:
        """What lies with the long bodies, None of what is not there as it was written."""
        with opened(bodies_of(self.directory, self.branch)) as descriptor:
            if descriptor is None:
                return None
            return unpacked(body, os.pread(descriptor, body.size_bytes, body.place))


def entries(chain: Sequence[ChainStretch], first: int = 0, *, whole: bool = False) -> Iterator[JournalEntry]:
    """The entries of at least this number, oldest first; long bodies are `whole`, or their beginnings alone."""
    for stretch in chain:
        if stretch.last is None or stretch.last >= first:
            for line in _lines(stretch, first):
                yield _read(stretch, line, whole)


def entry_at(chain: Sequence[ChainStretch], seq: int) -> JournalEntry | None:
    """The entry of a number, None where there is none."""
    found = next(entries(chain, seq), None) if seq > 0 else None
    return found if found and found.seq == seq else None


def given_to(chain: Sequence[ChainStretch], entry: JournalEntry) -> bytes | None:
    """What an entry's command was given and the entry does not tell, None where that is not there as it was written."""
    if entry.exec is None or entry.exec.given is None:
        return None
    stretch = next(one for one in chain if one.last is None or one.last >= entry.seq)
    return stretch.body(entry.exec.given)


def tries(chain: Sequence[ChainStretch], mark: int) -> Ranges:
    """The entries that are tried since an entry of kind restore, none for none."""
    entry = entry_at(chain, mark)
    return entry.tries or () if entry else ()


def shared(chain: Sequence[ChainStretch], other: Sequence[ChainStretch], last: int) -> int:
    """The last entry, of those up to a number, that two chains have in common: 0 for none."""
    found = 0
    for mine, theirs in zip(chain, other, strict=False):
        if mine.branch != theirs.branch:
            return found
        found = min([last, *(one.last for one in (mine, theirs) if one.last is not None)])
        if mine.last != theirs.last:
            return found
    return found


def newest(chain: Sequence[ChainStretch], count: int, *, whole: bool = False) -> list[JournalEntry]:
    """So many of the last entries, oldest first."""
    found = list(islice(_backward(chain, whole), count))
    return found[::-1]


def holding(chain: Sequence[ChainStretch], text: str) -> Iterator[JournalEntry | None]:
    """The entries whose author, body or command holds a text, oldest first, long bodies whole; a None now and then, so
    that whoever asks can leave off.
    """
    spelled = json.dumps(text)[1:-1].encode()
    for stretch in chain:
        looked = 0
        for line in _lines(stretch):
            looked += len(line)
            if looked > LOOKED_BYTES:
                looked = 0
                yield None
            if any(sign in line for sign in (spelled, APART, EXEC)):
                entry = _read(stretch, line, whole=True)
                if any(text in said for said in _texts(entry)):
                    yield entry


def _texts(entry: JournalEntry) -> tuple[str, ...]:
    return entry.body, entry.author, entry.raw, " ".join(entry.exec.argv) if entry.exec else ""


def _lines(stretch: ChainStretch, first: int = 0) -> Iterator[bytes]:
    with opened(stretch.file) as descriptor:
        if descriptor is not None:
            start = place_of(descriptor, first, stretch.end) if first > 1 else 0
            for place, line in forward(descriptor, start, _end(descriptor, stretch)):
                if place:
                    yield line


def _backward(chain: Sequence[ChainStretch], whole: bool) -> Iterator[JournalEntry]:
    for stretch in reversed(chain):
        with opened(stretch.file) as descriptor:
            if descriptor is not None:
                for place, line in backward(descriptor, _end(descriptor, stretch)):
                    if place:
                        yield _read(stretch, line, whole)


def _end(descriptor: int, stretch: ChainStretch) -> int:
    """Where the chain's part of a segment ends."""
    if stretch.last is None:
        return stretch.end
    return place_of(descriptor, stretch.last + 1, stretch.end)


def _read(stretch: ChainStretch, line: bytes, whole: bool) -> JournalEntry:
    entry = read_entry(line)
    if not (whole and entry.apart):
        return entry
    data = stretch.body(entry.apart)
    return entry if data is None else replace(entry, body=data.decode(errors="surrogatepass"))
