"""The part of DNS (RFC 1035) that a forwarder needs: questions read, answers read, answers made.

Whatever comes from a guest or a server may be anything: every read is bounded, and what makes no sense is `Malformed`.
"""

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

HEADER = struct.Struct("!6H")
RESPONSE, OPCODE, AUTHORITATIVE, TRUNCATED = 0x8000, 0x7800, 0x0400, 0x0200
RECURSION_DESIRED, RECURSION_AVAILABLE = 0x0100, 0x0080
A, CNAME, PTR, AAAA, OPT, IN = 1, 5, 12, 28, 41, 1
OF_QUESTION = 0xC000 | HEADER.size  # a pointer to the name that was asked for
LONGEST_NAME, MOST_LABELS, MOST_JUMPS = 255, 128, 16
MOST_RECORDS = 512
SMALLEST, LARGEST = 512, 4096
"""Bytes of an answer by UDP: what everybody takes, and what we say that we take."""


class Malformed(ValueError):
    """These bytes are no message, or none that is for us."""


class Code(IntEnum):
    """What is answered."""

    OK = 0
    FORMAT = 1
    FAILED = 2
    UNKNOWN_NAME = 3
    UNKNOWN_KIND = 4
    REFUSED = 5


@dataclass(frozen=True)
class Query:
    """What a client asks: `name` in lower case, without a last dot; its section of the message as it was; and how much
    it takes by UDP.
    """

    id: int
    name: str
    kind: int
    klass: int
    section: bytes
    takes: int


@dataclass(frozen=True)
class Resolved:
    """What a server answered: the addresses the name leads to, over its other names, and for how many seconds."""

    addresses: tuple[str, ...]
    ttl_s: int


def question(data: bytes) -> Query:
    """A client's only question; Malformed when there is none."""
    id, flags, questions, answers, _, additional = _header(data)
    if flags & (RESPONSE | OPCODE) or questions != 1 or answers:
        raise Malformed("no plain question")
    name, place = _name(data, HEADER.size)
    kind, klass = _two(data, place)
    takes = SMALLEST
    if additional and data[place + 4 : place + 7] == b"\0" + OPT.to_bytes(2, "big"):
        takes = min(max(_two(data, place + 7)[0], SMALLEST), LARGEST)
    return Query(id, name, kind, klass, data[HEADER.size : place + 4], takes)


def addresses_of(name: str) -> Query:
    """The question for a name's addresses, of a name that hosts have."""
    labels = b"".join(bytes([len(label)]) + label for label in name.encode("ascii").split(b"."))
    return Query(0, name, A, IN, labels + b"\0" + struct.pack("!2H", A, IN), SMALLEST)


def ask(of: Query, id: int, *, large: bool) -> bytes:
    """The same question to a server, maybe as one that takes large answers."""
    opt = b"\0" + struct.pack("!HHIH", OPT, LARGEST, 0, 0) if large else b""
    return HEADER.pack(id, RECURSION_DESIRED, 1, 0, 0, int(large)) + of.section + opt


def answers(data: bytes, id: int, of: Query) -> bool:
    """Is this the answer to a question that was asked under an id?"""
    try:
        found, flags, questions, *_ = _header(data)
    except Malformed:
        return False
    there = data[HEADER.size : HEADER.size + len(of.section)]
    return found == id and bool(flags & RESPONSE) and questions == 1 and there.lower() == of.section.lower()


def addresses(data: bytes, of: Query) -> Resolved:
    """The addresses in an answer that belong to its question; Malformed when it is none."""
    _, _, questions, count, _, _ = _header(data)
    place = HEADER.size
    for _ in range(questions):
        place = _name(data, place)[1] + 4
    wanted, found, ttls = {of.name}, [], []
    for _ in range(min(count, MOST_RECORDS)):
        owner, place = _name(data, place)
        kind, klass, ttl, length = _record(data, place)
        place += 10
        if place + length > len(data):
            raise Malformed("a record ends behind the message")
        if owner in wanted and klass == IN:
            if kind == CNAME:
                wanted.add(_name(data, place)[0])
                ttls.append(ttl)
            elif kind == A and length == 4:
                found.append(socket.inet_ntoa(data[place : place + 4]))
                ttls.append(ttl)
        place += length
    return Resolved(tuple(dict.fromkeys(found)), min(ttls, default=0))


def passed_on(data: bytes, to: Query, *, largest: int) -> bytes:
    """A server's answer as the client gets it: under the client's own id; truncated when it is too large for it."""
    _, flags, *_ = _header(data)
    if len(data) > largest:
        return HEADER.pack(to.id, flags | TRUNCATED, 1, 0, 0, 0) + to.section
    return HEADER.pack(to.id, flags & ~TRUNCATED, *_header(data)[2:]) + data[HEADER.size :]


def told(to: Query, code: Code) -> bytes:
    """An answer without a record: why there is none."""
    flags = RESPONSE | RECURSION_DESIRED | RECURSION_AVAILABLE | code
    return HEADER.pack(to.id, flags, 1, 0, 0, 0) + to.section


def told_address(to: Query, address: str, ttl_s: int) -> bytes:
    """An answer of ours: the name is at an address."""
    return _told_records(to, A, [socket.inet_aton(address)], ttl_s, AUTHORITATIVE)


def told_name(to: Query, name: str, ttl_s: int) -> bytes:
    """An answer of ours: the address that was asked about is that of a name."""
    labels = (label.encode() for label in name.split("."))
    body = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return _told_records(to, PTR, [body], ttl_s, AUTHORITATIVE)


def made(to: Query, addresses: Sequence[str], ttl_s: int) -> bytes:
    """An answer with these addresses."""
    return _told_records(to, A, [socket.inet_aton(address) for address in addresses], ttl_s)


def _told_records(to: Query, kind: int, bodies: Sequence[bytes], ttl_s: int, more_flags: int = 0) -> bytes:
    flags = RESPONSE | RECURSION_DESIRED | RECURSION_AVAILABLE | more_flags
    records = (struct.pack("!HHHIH", OF_QUESTION, kind, IN, ttl_s, len(body)) + body for body in bodies)
    return HEADER.pack(to.id, flags, 1, len(bodies), 0, 0) + to.section + b"".join(records)


def _header(data: bytes) -> tuple[int, ...]:
    if len(data) < HEADER.size:
        raise Malformed("shorter than a header")
    return HEADER.unpack_from(data)


def _two(data: bytes, place: int) -> tuple[int, int]:
    if place + 4 > len(data):
        raise Malformed("ends within a question")
    first, second = struct.unpack_from("!HH", data, place)
    return first, second


def _record(data: bytes, place: int) -> tuple[int, int, int, int]:
    if place + 10 > len(data):
        raise Malformed("ends within a record")
    kind, klass, ttl, length = struct.unpack_from("!HHIH", data, place)
    return kind, klass, ttl if ttl < 1 << 31 else 0, length


def _name(data: bytes, place: int) -> tuple[str, int]:
    """A name, and where what follows it begins. Pointers lead back only, and not often."""
    labels: list[bytes] = []
    end, jumps, size, lowest = 0, 0, 0, place
    while True:
        if place >= len(data):
            raise Malformed("ends within a name")
        length = data[place]
        if length == 0:
            break
        if length & 0xC0 == 0xC0:
            if place + 1 >= len(data):
                raise Malformed("ends within a pointer")
            end, jumps = end or place + 2, jumps + 1
            place = (length & 0x3F) << 8 | data[place + 1]
            if place >= lowest or jumps > MOST_JUMPS:
                raise Malformed("a pointer does not lead back")
            lowest = place
            continue
        if length & 0xC0:
            raise Malformed("a label of an unknown kind")
        label = data[place + 1 : place + 1 + length]
        size += length + 1
        if len(label) < length or size > LONGEST_NAME or len(labels) >= MOST_LABELS:
            raise Malformed("too long a name")
        labels.append(label)
        place += 1 + length
    text = ".".join(label.decode("ascii", errors="replace").replace(".", "\ufffd") for label in labels)
    return text.lower(), end or place + 1
