"""Chains held against their hashes: the first thing that is not what was written, by name."""

import json
from collections.abc import Iterator, Sequence

from core.journal.chain import ChainStretch
from core.journal.entry import JournalCheck
from core.journal.lines import forward
from core.journal.record import (
    APART,
    GIVEN,
    HASH_CHARS,
    TAIL_BYTES,
    beginning,
    hash_in,
    is_whole,
    read_entry,
    read_head,
)
from core.journal.segment import opened

BEFORE = b'"parent_hash":"'


def check(branch: str, chain: Sequence[ChainStretch]) -> JournalCheck:
    """Look at every entry of a chain until one is wrong."""
    before, seq, hash_, count = "", 0, "", 0
    for stretch in chain:
        with opened(stretch.file) as descriptor:
            if descriptor is None:
                if stretch.end:
                    return JournalCheck(branch, count, seq + 1, "the file it is in is gone")
                continue
            found_head = False
            for place, line in forward(descriptor, 0, stretch.end):
                if place == 0:
                    found_head = True
                    if problem := _wrong_head(line, stretch.branch, before, seq, hash_):
                        return JournalCheck(branch, count, seq + 1, problem)
                    continue
                told = beginning(line)
                if told and stretch.last is not None and told[1] > stretch.last:
                    break
                if problem := next(_wrong(stretch, line, seq, hash_), ""):
                    return JournalCheck(branch, count, seq + 1, problem)
                seq, hash_, count = seq + 1, hash_in(line), count + 1
            if stretch.end and not found_head:
                return JournalCheck(branch, count, seq + 1, "the file it is in is empty")
            if stretch.last is not None and seq < stretch.last:
                return JournalCheck(branch, count, seq + 1, "it is not there, and a fork was made after it")
        before = stretch.branch
    return JournalCheck(branch, count)


def _wrong_head(line: bytes, branch: str, before: str, seq: int, hash_: str) -> str:
    head = read_head(line)
    if head is None or head.journal != branch:
        return "the head of the file it is in is not what was written"
    if (head.parent, head.seq, head.parent_hash) != (before, seq, hash_):
        return "it does not go on from where its branch was forked"
    return ""


def _wrong(stretch: ChainStretch, line: bytes, seq: int, hash_: str) -> Iterator[str]:
    """What is wrong with the entry after number `seq`, one thing after the other."""
    told = beginning(line)
    if told is None or not is_whole(line):
        yield "its bytes are not what was written"
    elif told[1] != seq + 1:
        yield f"number {told[1]} stands in its place"
    if _parent_hash(line) != hash_:
        yield "it is not chained to the one before"
    if APART in line or GIVEN in line:
        entry = read_entry(line)
        if entry.apart and stretch.body(entry.apart) is None:
            yield "its body is not what was written"
        if entry.exec and entry.exec.given and stretch.body(entry.exec.given) is None:
            yield "what its command was given is not what was written"


def _parent_hash(line: bytes) -> str:
    """The last field before the hash in our version, anywhere in one of a newer."""
    at = -TAIL_BYTES - 1
    for length in (0, HASH_CHARS):
        if line[at - length - len(BEFORE) : at - length] == BEFORE:
            return line[at - length : at].decode(errors="replace")
    return str(json.loads(line).get("parent_hash", ""))
