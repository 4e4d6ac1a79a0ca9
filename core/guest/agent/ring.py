"""The last megabyte of a stream, by absolute byte offset."""

from __future__ import annotations

RING_BYTES = 1024 * 1024


class Ring:
    """Keeps the last `size` bytes written; offsets count from the first byte ever written.

    Memory grows with what was written, up to `size`, and is then overwritten in place: a chatty command dirties no
    more pages than that, which keeps forks cheap.
    """

    def __init__(self, size: int = RING_BYTES) -> None:
        self._size = size
        self._buffer = bytearray()
        self.end = 0

    @property
    def start(self) -> int:
        """Offset of the oldest byte still held."""
        return self.end - len(self._buffer)

    def write(self, data: bytes) -> None:
        """Append, overwriting the oldest bytes."""
        if len(data) > self._size:
            self._skip(len(data) - self._size)
            data = data[-self._size :]
        growth = min(self._size - len(self._buffer), len(data))
        self._buffer += data[:growth]
        self.end += growth
        while growth < len(data):
            position = self.end % self._size
            count = min(self._size - position, len(data) - growth)
            self._buffer[position : position + count] = data[growth : growth + count]
            self.end += count
            growth += count

    def _skip(self, count: int) -> None:
        """Account for bytes that will be overwritten before anybody could read them."""
        self._buffer.extend(bytes(self._size - len(self._buffer)))
        self.end += count

    def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`, which must lie between `start` and `end`."""
        count = min(limit, self.end - offset)
        position = offset % self._size
        data = bytes(self._buffer[position : position + count])
        return data + bytes(self._buffer[: count - len(data)])
