"""Entries and heads as the lines that are kept of them, each with its hash at its end."""

import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from blake3 import blake3
from msgspec.structs import replace
from zstandard import ZstdCompressor, ZstdDecompressor

from core.codec import decode, encode
from core.journal.entry import DAMAGED, KINDS, VERSION, JournalEntry, JournalHead, PackedBody

INLINE_BYTES = 4096  # of a body: a longer one lies apart, so that a look through many entries reads little
SHOWN_CHARS = 200  # of a body that lies apart, where not all of it is asked for
LEVEL = 1  # of Zstandard: bodies are packed on the event loop, a million characters in 3 ms
HASH_CHARS = 64
PARTED = b',"hash":"'
END = b'"}'
TAIL_BYTES = len(PARTED) + HASH_CHARS + len(END)
BEGINNING = re.compile(rb'\{"v":(\d{1,9}),"seq":(\d{1,18}),')
APART, EXEC = b'"body_hash":"', b'"exec":{'  # in the lines of entries with a long body, of those of commands
GIVEN = b'"given":{'  # in those of commands that were given what no entry tells
T = TypeVar("T")


def with_body(
    entry: JournalEntry, body: bytes, place: int, known: Mapping[str, PackedBody]
) -> tuple[JournalEntry, bytes]:
    """An entry whose long body lies apart, at this place, and what is to lie there: nothing for one that is `known`, by
    its hash, to lie somewhere already.
    """
    hash_ = _digest(body)
    data = b"" if hash_ in known else ZstdCompressor(level=LEVEL).compress(body)
    apart = known.get(hash_) or laid(data, place)
    return replace(entry, body_bytes=len(body), body_hash=hash_, apart=apart), data


def laid(data: bytes, place: int) -> PackedBody:
    """Says where packed bytes lie."""
    return PackedBody(place, len(data), _digest(data))


def unpacked(body: PackedBody, data: bytes) -> bytes | None:
    """The bytes that lie somewhere, None when what was found there is not what was written."""
    return ZstdDecompressor().decompressobj().decompress(data) if _digest(data) == body.hash else None


def entry_line(entry: JournalEntry) -> tuple[str, bytes]:
    """The hash of an entry that has none yet, and its line."""
    fields: dict[str, Any] = {
        "v": VERSION, "seq": entry.seq, "time": entry.time, "kind": entry.kind, "author": entry.author,
        "body": entry.body[:SHOWN_CHARS] if entry.body_hash else entry.body,
    }  # fmt: skip
    if entry.body_hash:
        fields |= {"body_bytes": entry.body_bytes, "body_hash": entry.body_hash}
        fields["apart"] = encode(entry.apart)
    fields |= {"commit": entry.commit, "key": entry.key}
    if entry.guest:
        fields["guest"] = True
    if entry.exec is not None:
        fields["exec"] = encode(entry.exec)
    if entry.tries is not None:
        fields["tries"] = entry.tries
    if entry.lost:
        fields["lost"] = True
    if entry.mark:
        fields["mark"] = entry.mark
    return hashed_line(fields | {"parent_hash": entry.parent_hash})


def head_line(head: JournalHead) -> bytes:
    """A head's line."""
    fields = {
        "v": VERSION, "journal": head.journal, "parent": head.parent, "seq": head.seq, "mark": head.mark,
        "parent_hash": head.parent_hash,
    }  # fmt: skip
    return hashed_line(fields)[1]


def read_head(line: bytes) -> JournalHead | None:
    """The head that a line is, None of one that is not whole."""
    fields = _fields(line) if is_whole(line) else None
    return None if fields is None or "journal" not in fields else _decoded(JournalHead, fields)


def read_entry(line: bytes) -> JournalEntry:
    """The entry that a line is. One that is not whole, or of another shape than ours, is told by its `raw`."""
    version, seq = beginning(line) or (0, 0)
    fields = _fields(line) if seq else None
    if fields is None:
        return JournalEntry(seq, 0.0, DAMAGED, "", "", "", "", "", version, raw=_text(line))
    known = version <= VERSION and fields.get("kind") in KINDS
    if entry := _decoded(JournalEntry, fields | {"version": version}):
        return entry if known else replace(entry, raw=_text(line))
    kind, hash_, mark = (fields.get(name) for name in ("kind", "hash", "mark"))
    return JournalEntry(
        seq, 0.0, kind if isinstance(kind, str) else DAMAGED, "", "", "", "", hash_ if isinstance(hash_, str) else "",
        version, mark=mark if isinstance(mark, int) else 0, raw=_text(line),
    )  # fmt: skip


def beginning(line: bytes) -> tuple[int, int] | None:
    """Version and number of the entry that a line is, None of one that is none."""
    found = BEGINNING.match(line)
    return (int(found[1]), int(found[2])) if found else None


def hash_in(line: bytes) -> str:
    """The hash that a line ends in."""
    return line[-len(END) - HASH_CHARS : -len(END)].decode(errors="replace")


def is_whole(line: bytes) -> bool:
    """Is a line what was written?"""
    parted, end = line[-TAIL_BYTES : -HASH_CHARS - len(END)], line[-len(END) :]
    return parted == PARTED and end == END and _digest(line[:-TAIL_BYTES]) == hash_in(line)


def hashed_line(fields: dict[str, Any]) -> tuple[str, bytes]:
    """The hash of fields, and the line of both."""
    payload = json.dumps(fields, separators=(",", ":")).encode()[:-1]
    hash_ = _digest(payload)
    return hash_, payload + PARTED + hash_.encode() + END


def _digest(payload: bytes) -> str:
    return blake3(payload).hexdigest()


def _fields(line: bytes) -> dict[str, Any] | None:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _decoded(cls: type[T], fields: dict[str, Any]) -> T | None:
    try:
        return decode(cls, fields)
    except ValueError:
        return None


def _text(line: bytes) -> str:
    return line.decode(errors="backslashreplace")
