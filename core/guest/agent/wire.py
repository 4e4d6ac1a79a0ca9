"""Frames: what host and agent exchange over the port.

A frame is a header `type u8 · channel u32 · length u32 · crc32 u32` (little-endian) and `length` bytes of payload;
the checksum covers the header's first nine bytes and the payload. Control payloads are JSON; `STDIN`, `STDOUT` and
`STDERR` carry a u64 offset and raw bytes. Every request names a channel the host chose; all answers come back on it.

Zero bytes between frames are skipped: a host that is not answered sends `RESYNC` (more zeros than any frame is long)
before it says hello again, which completes whatever half frame a restored guest was waiting for. In the other
direction the answer to a hello is known beforehand, byte for byte, so the host looks for it and drops what precedes.
An agent that starts says `START`: a host that had greeted an earlier one learns that nobody knows its requests.

`STDIN_ACK` says how much of its input a command has taken, `STDIN_SHUT` that it takes no more; `OUTPUT_ACK` says how
much of what was sent has reached whoever reads it. `CANCEL` gives a request up: one that was not begun is dropped; with
`KILL` the command that it has started ends. `NOTED` says that a program of the guest's has something for the journal,
which the host then asks for.
"""

from __future__ import annotations

import json
import struct
from binascii import crc32
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROTOCOL = 4
NONCE_BYTES = 16

HELLO, HELLO_REPLY, REQUEST, REPLY, ERROR, STDIN, STDIN_ACK, STDOUT, STDERR, OUTPUT_ACK, EXIT, START = range(
    1, 13
)
STDIN_SHUT, CANCEL, NOTED = 13, 14, 15
KILL = b"kill"

HEADER = struct.Struct("<BII")
CHECKSUM = struct.Struct("<I")
OFFSET = struct.Struct("<Q")
HEADER_BYTES = HEADER.size + CHECKSUM.size
MAX_PAYLOAD = 64 * 1024
RESYNC = bytes(MAX_PAYLOAD + HEADER_BYTES)

CHUNK_BYTES = 32 * 1024 - HEADER_BYTES - OFFSET.size
"""Data in one frame: the virtio console driver takes 32 KiB a write, so one frame is one write."""

WINDOW_BYTES = 256 * 1024
"""Bytes of a stream that may be under way and not yet acknowledged, in either direction."""

ACK_EVERY_BYTES = WINDOW_BYTES // 4
"""Once this much more has been used up, whoever sends is told: often enough for it never to wait."""

FRAME_COST = 64
"""What a data frame counts in the output window beyond its bytes, so that many tiny frames cannot fill memory."""


class WireError(Exception):
    """Bytes that are no frame; only raised by a strict `Frames`."""


class Frame(NamedTuple):
    """One message: its type, the channel it belongs to, its payload."""

    type: int
    channel: int
    payload: bytes

    def json(self) -> dict[str, Any]:
        """The payload as a JSON object; WireError when it is none."""
        try:
            value = json.loads(self.payload)
        except (ValueError, RecursionError) as error:
            raise WireError("payload is not JSON") from error
        if not isinstance(value, dict):
            raise WireError("payload is not a JSON object")
        return value

    def data(self) -> tuple[int, bytes]:
        """The payload as (offset, bytes); WireError when it is too short."""
        if len(self.payload) < OFFSET.size:
            raise WireError("data frame without an offset")
        return OFFSET.unpack_from(self.payload)[0], self.payload[OFFSET.size :]


def frame(kind: int, channel: int, payload: bytes = b"") -> bytes:
    """One frame, ready to be sent."""
    if len(payload) > MAX_PAYLOAD:
        raise WireError(f"payload of {len(payload)} bytes is too long for a frame")
    head = HEADER.pack(kind, channel, len(payload))
    return b"".join((head, CHECKSUM.pack(crc32(payload, crc32(head))), payload))


def json_frame(kind: int, channel: int, value: object) -> bytes:
    """One frame with a JSON payload."""
    return frame(kind, channel, json.dumps(value, separators=(",", ":")).encode())


def bounded(name: str, items: Sequence[object]) -> dict[str, Any]:
    """`{name: items, "left_out": n}` with as many items as surely fit into one frame."""
    room = MAX_PAYLOAD - 1024
    for index, item in enumerate(items):
        room -= len(json.dumps(item, separators=(",", ":"))) + 1
        if room < 0:
            return {name: items[:index], "left_out": len(items) - index}
    return {name: items, "left_out": 0}


def hello_reply(nonce: bytes, protocol: int = PROTOCOL) -> bytes:
    """The whole frame that answers a hello, known to both sides."""
    return frame(HELLO_REPLY, 0, nonce + bytes((protocol,)))


class Frames:
    """Cuts a byte stream into frames, holding at most one incomplete frame.

    A strict reader raises WireError at the first malformed byte (the host: the guest is not trusted); a lenient one
    drops what is damaged and goes on (the agent: it may have been captured in the middle of a frame).
    """

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes."""
        buffer = self._buffer + data
        self._buffer = b""
        while True:
            buffer = buffer.lstrip(b"\0") if not self._strict else buffer
            if len(buffer) < HEADER_BYTES:
                break
            kind, channel, length = HEADER.unpack_from(buffer)
            if kind == 0 or length > MAX_PAYLOAD:
                buffer = self._damaged("malformed frame header", buffer[1:])
                continue
            if len(buffer) < HEADER_BYTES + length:
                break
            payload = buffer[HEADER_BYTES : HEADER_BYTES + length]
            checksum = crc32(payload, crc32(buffer[: HEADER.size]))
            rest = buffer[HEADER_BYTES + length :]
            if checksum != CHECKSUM.unpack_from(buffer, HEADER.size)[0]:
                buffer = self._damaged("frame checksum does not match", rest)
                continue
            buffer = rest
            yield Frame(kind, channel, payload)
        self._buffer = buffer

    def _damaged(self, reason: str, rest: bytes) -> bytes:
        if self._strict:
            raise WireError(reason)
        return rest
