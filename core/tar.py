"""Tar streams in GNU's format as trees leave and enter machines: names as bytes, holes of files as holes.

A file with holes is an entry of type S (the tar manual's "Storing Sparse Files", old GNU format): a map of its data,
then the data alone. A reader trusts nothing: every number is bounded by what it can need, and only the kinds of entry
are known that GNU tar writes of files, directories, links and devices.
"""

import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Run = tuple[int, int]
"""Offset and length of a stretch of a file that holds data."""

SPARSE = tarfile.GNUTYPE_SPARSE
KINDS = frozenset(
    (
        tarfile.REGTYPE,
        tarfile.DIRTYPE,
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
    )
)
LONGEST_NAME = 4096
PIECE_BYTES = 256 * 1024
END = bytes(2 * tarfile.BLOCKSIZE)
_LONG = {tarfile.GNUTYPE_LONGNAME: "name", tarfile.GNUTYPE_LONGLINK: "link"}
_BLOCK = tarfile.BLOCKSIZE
_RUN_BYTES = 24
_FIRST_RUNS, _MORE_RUNS = 4, 21  # that a header holds, and each block after it
_MOST_RUNS = 1 << 20  # a file of 4 GiB with every other block a hole has half as many
_LARGEST = (1 << 63) - 1


class NotATar(Exception):
    """A stream that is no archive, or none GNU tar would write of a tree."""


class Readable(Protocol):
    """What a tar stream is read from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


class Pieces:
    """Bytes that come in pieces, as something to `read`."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        while not self._rest and (piece := next(self._pieces, None)) is not None:
            self._rest = piece
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


@dataclass(frozen=True)
class Member:
    """One entry. `runs` are the stretches of a regular file that its data is of, `size` what the file is long."""

    name: bytes
    kind: bytes
    link: bytes
    mode: int
    mtime: int
    size: int
    runs: Sequence[Run]

    @property
    def stored_bytes(self) -> int:
        """How much data there is."""
        return sum(length for _, length in self.runs)


def padding(size: int) -> bytes:
    """What fills up the last block behind so many bytes."""
    return bytes(-size % _BLOCK)


def is_sparse(runs: Sequence[Run], size: int) -> bool:
    """Is there a hole in a file of that size, whose data is in `runs`?"""
    return sum(length for _, length in runs) < size


def gnu_header(member: tarfile.TarInfo, runs: Sequence[Run] | None = None) -> bytes:
    """The header of an entry; data must follow, of the `runs` of a file that has holes alone, and `padding`."""
    if runs is None or not is_sparse(runs, member.size):
        return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    real, member.size, member.type = member.size, sum(length for _, length in runs), SPARSE
    whole = member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    member.size = real
    table = [*runs, (real, 0)]
    head = bytearray(whole[-_BLOCK:])
    head[386:482] = _packed(table[:_FIRST_RUNS], _FIRST_RUNS)
    head[482] = len(table) > _FIRST_RUNS
    head[483:495] = _number(real)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    more = (table[at : at + _MORE_RUNS] for at in range(_FIRST_RUNS, len(table), _MORE_RUNS))
    return whole[:-_BLOCK] + bytes(head) + b"".join(_extended(table, part) for part in more)


def pax_header(member: tarfile.TarInfo, records: Mapping[bytes, bytes]) -> bytes:
    """The header of an entry with a pax header before it, in which `records` join what tarfile puts there: it writes no
    names of records but UTF-8, and attributes have any.
    """
    whole = member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    told = b"".join(_record(key, value) for key, value in records.items())
    if len(whole) > _BLOCK:
        size = tarfile.TarInfo.frombuf(whole[:_BLOCK], "utf-8", "surrogateescape").size
        told = whole[_BLOCK : _BLOCK + size] + told
    head = tarfile.TarInfo("././@PaxHeader")
    head.type, head.size = tarfile.XHDTYPE, len(told)
    return head.tobuf(tarfile.USTAR_FORMAT) + told + padding(len(told)) + whole[-_BLOCK:]


def _record(key: bytes, value: bytes) -> bytes:
    """POSIX: its own length, which counts, the key and the value."""
    rest = b" %b=%b\n" % (key, value)
    length = len(rest) + len(str(len(rest)))
    length = len(rest) + len(str(length))
    return b"%d" % length + rest


def _extended(table: Sequence[Run], part: Sequence[Run]) -> bytes:
    followed = part[-1] is not table[-1]
    return _packed(part, _MORE_RUNS) + bytes((followed,)) + bytes(7)


def _packed(runs: Iterable[Run], room: int) -> bytes:
    return b"".join(_number(offset) + _number(length) for offset, length in runs).ljust(
        room * _RUN_BYTES, b"\0"
    )


def _number(value: int) -> bytes:
    return tarfile.itn(value, 12, tarfile.GNU_FORMAT)  # type: ignore[attr-defined, no-any-return]


class Reader:
    """The entries of a stream, in order; the data of each can be read until the next is asked for."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._left = 0

    def __iter__(self) -> Iterator[Member]:
        """Each entry; NotATar where the stream is none, or ends before its end mark."""
        long: dict[str, bytes] = {}
        while (block := self._exactly(_BLOCK)).strip(b"\0"):
            header = _header(block)
            if what := _LONG.get(header.type):
                if what in long or not 0 < header.size <= LONGEST_NAME + 1:
                    raise NotATar("a name is too long")
                long[what] = self._exactly(header.size + len(padding(header.size)))[: header.size].rstrip(
                    b"\0"
                )
                continue
            member = self._member(header, block, long)
            long = {}
            self._left = member.stored_bytes
            filler = len(padding(self._left))
            yield member
            self._skip(self._left + filler)
        if long:
            raise NotATar("a name without a file")

    def data(self, member: Member) -> Iterator[tuple[int, bytes]]:
        """The data of the entry read last: offsets in the file, and bytes."""
        for offset, length in member.runs:
            end = offset + length
            while offset < end:
                piece = self._exactly(min(PIECE_BYTES, end - offset), exact=False)
                self._left -= len(piece)
                yield offset, piece
                offset += len(piece)

    def _member(self, header: tarfile.TarInfo, block: bytes, long: dict[str, bytes]) -> Member:
        kind = tarfile.REGTYPE if header.type in (SPARSE, tarfile.AREGTYPE) else header.type
        if kind not in KINDS or not 0 <= header.size <= _LARGEST:
            raise NotATar("an entry of a type that no tree has")
        size = header.size if kind == tarfile.REGTYPE else 0
        runs: Sequence[Run] = [(0, size)] if size else []
        if header.type == SPARSE:
            size, runs = self._sparse(block, size)
        name = long.get("name", header.name.encode("utf-8", "surrogateescape"))
        link = long.get("link", header.linkname.encode("utf-8", "surrogateescape"))
        if b"\0" in name + link or max(len(name), len(link)) > LONGEST_NAME:
            raise NotATar("a name that is none")
        return Member(name, kind, link, header.mode, int(header.mtime), size, runs)

    def _sparse(self, block: bytes, stored: int) -> tuple[int, Sequence[Run]]:
        """The size of a file with holes and where its data lies, from its header and the blocks that follow it."""
        size, runs = _value(block[483:495]), list(_runs(block[386:482]))
        more = block[482]
        while more:
            block = self._exactly(_BLOCK)
            runs.extend(_runs(block[: _MORE_RUNS * _RUN_BYTES]))
            more = block[_MORE_RUNS * _RUN_BYTES]
            if len(runs) > _MOST_RUNS:
                raise NotATar("a file has too many holes")
        at = 0
        for offset, length in runs:
            if not at <= offset <= offset + length <= size:
                raise NotATar("the map of a file's holes contradicts itself")
            at = offset + length
        if sum(length for _, length in runs) != stored:
            raise NotATar("a file has more data than places for it")
        return size, [run for run in runs if run[1]]

    def _skip(self, size: int) -> None:
        while size:
            size -= len(self._exactly(min(PIECE_BYTES, size), exact=False))

    def _exactly(self, size: int, exact: bool = True) -> bytes:
        """So many bytes, or without `exact` at least one of them."""
        found = self._stream.read(size)
        while exact and found and len(found) < size:
            piece = self._stream.read(size - len(found))
            found += piece
            if not piece:
                break
        if not found or (exact and len(found) < size):
            raise NotATar("it ends before its end")
        return found


def _header(block: bytes) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError, IndexError, OverflowError) as error:
        raise NotATar(str(error)) from error


def _runs(table: bytes) -> Iterator[Run]:
    for at in range(0, len(table), _RUN_BYTES):
        if table[at] == 0:  # the map ends with an empty place
            return
        yield _value(table[at : at + 12]), _value(table[at + 12 : at + 24])


def _value(field: bytes) -> int:
    try:
        value = int(tarfile.nti(field))  # type: ignore[attr-defined]
    except (tarfile.HeaderError, ValueError, IndexError) as error:
        raise NotATar("a number is none") from error
    if not 0 <= value <= _LARGEST:
        raise NotATar("a number is beyond all bounds")
    return value
