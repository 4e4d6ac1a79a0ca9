"""The last of what a command printed, as bytes. They are read as lines only where somebody looks at them.

Output that comes faster than anybody reads costs a search for its last newline and no more: many streams at full speed
leave the thread that draws its time. Lines are counted from the first that ever came, so that a place stays what it is
when older ones go.
"""

import re
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from vertui.guest_text import ESCAPE, LONGEST_REST

KEPT_BYTES = 2 << 20  # of one command: some tens of thousands of lines, and 72 MiB of 36 of them
CHUNK_COST = 300  # bytes that a chunk takes beside its text
REMARK, STDOUT, STDERR = 0, 1, 2
SEQUENCES = re.compile(ESCAPE.pattern.encode())


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it came: of which stream, when (Unix seconds), undecoded and without its end."""

    number: int
    stream: int
    time: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines of one stream that came together; `first` is the number of the first of them."""

    first: int
    stream: int
    time: float
    data: bytes

    def lines(self, first: int, last: int) -> Iterator[Line]:
        """Those from `first` to before `last`."""
        begin = max(first - self.first, 0)
        for at, data in enumerate(self.data[:-1].split(b"\n")[begin : max(last - self.first, 0)]):
            yield Line(self.first + begin + at, self.stream, self.time, data)


class Scrollback:
    """Filled by one thread, read by another. Lines from `start` to before `end` are there; at most `most` bytes."""

    def __init__(self, most: int = KEPT_BYTES) -> None:
        self._lock = threading.Lock()
        self._most = most
        self._chunks: list[Chunk] = []
        self._bytes = 0
        self._rests = {STDOUT: b"", STDERR: b""}
        self.start = self.end = 0
        self.came_bytes = 0  # in all

    @property
    def size_bytes(self) -> int:
        """What it takes."""
        return self._bytes

    def add(self, stream: int, data: bytes) -> None:
        """Take what a stream printed."""
        with self._lock:
            self.came_bytes += len(data)
            data = self._rests[stream] + data
            cut = data.rfind(b"\n") + 1
            self._rests[stream] = data[cut:][-LONGEST_REST:]
            if cut:
                self._append(stream, data[:cut])

    def remark(self, text: str) -> None:
        """Add a line of our own, which begins where a line begins."""
        self.finish()
        with self._lock:
            self._append(REMARK, text.replace("\n", " ").encode(errors="replace") + b"\n")

    def finish(self) -> None:
        """Nothing more will be printed: what was begun is a line."""
        with self._lock:
            for stream, rest in self._rests.items():
                if rest:
                    self._append(stream, rest + b"\n")
                    self._rests[stream] = b""

    def rests(self) -> list[Line]:
        """The lines that have begun and not ended."""
        with self._lock:
            return [Line(self.end, stream, time.time(), rest) for stream, rest in self._rests.items() if rest]

    def lines(self, first: int, last: int) -> list[Line]:
        """The lines from `first` to before `last` that are there."""
        with self._lock:
            first = max(first, self.start)
            at = max(0, bisect_right(self._chunks, first, key=lambda chunk: chunk.first) - 1)
            found: list[Line] = []
            for chunk in self._chunks[at:]:
                if chunk.first >= last:
                    break
                found += chunk.lines(first, last)
            return found

    def find(self, words: bytes, before: int) -> int | None:
        """The number of the last line before one that has these words, in whatever case; None when there is none."""
        words = words.lower()
        with self._lock:
            chunks = [chunk for chunk in self._chunks if chunk.first < before]
        for chunk in reversed(chunks):
            if words not in SEQUENCES.sub(b"", chunk.data).lower():
                continue
            for line in reversed(list(chunk.lines(0, before))):
                if words in SEQUENCES.sub(b"", line.data).lower():
                    return line.number
        return None

    def find_after(self, words: bytes, after: int) -> int | None:
        """The same, of the first line after one."""
        words = words.lower()
        for line in self.lines(after + 1, self.end):
            if words in SEQUENCES.sub(b"", line.data).lower():
                return line.number
        return None

    def _append(self, stream: int, data: bytes) -> None:
        self.came_bytes += stream == REMARK
        self._chunks.append(Chunk(self.end, stream, time.time(), data))
        self.end += data.count(b"\n")
        self._bytes += len(data) + CHUNK_COST
        gone = 0
        while self._bytes > self._most and gone < len(self._chunks) - 1:
            self._bytes -= len(self._chunks[gone].data) + CHUNK_COST
            gone += 1
        del self._chunks[:gone]
        self.start = self._chunks[0].first
