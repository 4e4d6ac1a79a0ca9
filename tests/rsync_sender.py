"""An rsync that sends whatever it likes: of the sending side of protocol 30 as much as it takes to harm a receiver.

Source: rsync 3.2.7, compat.c, flist.c, io.c, receiver.c, sender.c.
"""

import hashlib
import os
import select
import stat
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

PROTOCOL = 30  # neither later checks of names, nor lists of one directory each
LONG_NAME, SAME_UID, SAME_GID = 0x40, 0x08, 0x10
TRANSFER = 0x8000
DATA_TAG = 7 << 24
DONE, FAR = b"\0", b"\xfe"
STATISTICS = bytes(5 * 3)
LAST_PHASE = 3
QUIET_S = 1.0


@dataclass(frozen=True)
class Sent:
    """An entry of the list of files: a link where there is a target, a directory where there is no content."""

    name: str
    content: bytes | None = None
    target: str = ""
    mode: int = 0

    @property
    def whole_mode(self) -> int:
        """As the wire has it."""
        if self.target:
            return stat.S_IFLNK | 0o777
        return self.mode or (stat.S_IFDIR | 0o755 if self.content is None else stat.S_IFREG | 0o644)


@dataclass
class EvilSender:
    """Sends a list of files, then the content of each as it is asked for; of the `eager` ones at once."""

    files: Sequence[Sent]
    eager: frozenset[str] = frozenset()
    name: str = "evil"
    said: bytes = b""
    sent: list[str] = field(default_factory=list)

    @property
    def _sorted(self) -> list[Sent]:
        """As they are numbered."""
        return sorted(self.files, key=_order)

    def serve(self, command: Sequence[str], incoming: int, outgoing: int) -> int:
        """As the far side of a run."""
        try:
            os.write(outgoing, struct.pack("<i", PROTOCOL) + b"\0" + struct.pack("<i", 1))
            numbers = [at for at, file in enumerate(self._sorted) if file.name in self.eager]
            contents = map(self._content, numbers, [-1, *numbers])
            os.write(outgoing, _framed(b"".join([*map(_entry, self.files), b"\0", *contents])))
            self._answer(incoming, outgoing)
        except BrokenPipeError:
            pass
        finally:
            os.close(incoming)
            os.close(outgoing)
        return 0

    def _answer(self, incoming: int, outgoing: int) -> None:
        heard = Heard(incoming)
        heard.read(4)  # its version
        previous, phases = -1, 0
        heard.read_data(4)  # no rules
        while step := heard.read_data(1):
            if step == DONE:
                phases += 1
                if phases > LAST_PHASE:  # its farewell
                    return
                os.write(outgoing, _framed(DONE if phases < LAST_PHASE else DONE + STATISTICS))
                continue
            step += heard.read_data(2) if step == FAR else b""
            number = previous + int.from_bytes(step.removeprefix(FAR), "big")
            flags = heard.read_data(2)
            if not int.from_bytes(flags, "little") & TRANSFER:
                told = step + flags
            else:
                heard.read_data(16)  # that it has no part of it
                told = self._content(number, previous)
            os.write(outgoing, _framed(told))
            previous = number

    def _content(self, number: int, previous: int) -> bytes:
        """That of the file with this number, after that of another."""
        file = self._sorted[number]
        content = file.content or b""
        self.sent.append(file.name)
        head = struct.pack("<HiiiiI", TRANSFER, 0, 0, 0, 0, len(content))
        return (
            _step(number - previous) + head + content + struct.pack("<I", 0) + hashlib.md5(content).digest()
        )


class Heard:
    """What the other side sends, after its version in frames; none when it is silent or gone."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._data = b""

    def read(self, size: int) -> bytes:
        """As it comes."""
        found = b""
        while len(found) < size and select.select([self._descriptor], [], [], QUIET_S)[0]:
            piece = os.read(self._descriptor, size - len(found))
            if not piece:
                break
            found += piece
        return found

    def read_data(self, size: int) -> bytes:
        """What is in its frames."""
        while len(self._data) < size:
            head = self.read(4)
            if len(head) < 4:
                return b""
            word = struct.unpack("<I", head)[0]
            body = self.read(word & 0xFFFFFF)
            self._data += body if word >> 24 == DATA_TAG >> 24 else b""
        found, self._data = self._data[:size], self._data[size:]
        return found


def _entry(file: Sent) -> bytes:
    name = os.fsencode(file.name)
    size = len(file.content or b"")
    head = bytes((LONG_NAME | SAME_UID | SAME_GID,)) + _varint(len(name)) + name
    link = _varint(len(file.target)) + file.target.encode() if file.target else b""
    return head + _varlong(size, 3) + _varlong(1_700_000_000, 4) + struct.pack("<I", file.whole_mode) + link


def _step(count: int) -> bytes:
    """How much further on in the list."""
    return bytes((count,)) if 0 < count < FAR[0] else FAR + struct.pack(">H", count)


def _varint(value: int) -> bytes:
    assert value < 1 << 14
    return bytes((value,)) if value < 0x80 else bytes((0x80 | value >> 8, value & 0xFF))


def _varlong(value: int, least: int) -> bytes:
    packed = value.to_bytes(least, "little")
    assert packed[-1] < 0x80
    return packed[-1:] + packed[:-1]


def _framed(data: bytes) -> bytes:
    return struct.pack("<I", DATA_TAG | len(data)) + data


def _order(file: Sent) -> tuple[object, ...]:
    """Where it stands in the list as both sides sort it: in a directory, files first."""
    if file.name == ".":
        return ()
    *parents, last = file.name.split("/")
    is_directory = stat.S_ISDIR(file.whole_mode)
    return (*((1, part) for part in parents), (int(is_directory), last))
