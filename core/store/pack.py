"""A pack: frames of pages, the directory that says which, and the seek table.

    frame … frame | directory (skippable 0x184D2A5D, `columns`) | seek table

`zstd -d` prints the frames' contents in order. A page stored against another is the XOR of both. An external pack has
no frames: its pages stand in a file of an image, at the places its directory names, and are only ever referred to.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from blake3 import blake3
from numpy.typing import NDArray

from core.errors import Damaged
from core.model import PAGE_BYTES
from core.store import columns, seekable
from core.store.hashing import Contents, Hashes

FORMAT = 1
DIRECTORY = 0x184D2A5D
Ids = NDArray[np.uint64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Directory:
    """What a pack holds, by row: ids (n,), hashes (n, 32), against (n,): the id a page was XORed with, or 0.

    Frames, in order, hold `frame_pages` rows each: their lengths and the BLAKE3 of their compressed bytes. An external
    pack has none, but `source`, (image id, file name), and `places` (n,), page numbers in it.
    """

    ids: Ids
    hashes: Hashes
    against: Ids
    frame_pages: int
    frame_bytes: NDArray[np.uint32]
    frame_hashes: Hashes
    source: tuple[str, str] | None
    places: NDArray[np.uint32]

    def encode(self) -> bytes:
        """As the skippable frame that stands in the pack."""
        facts = {"format": FORMAT, "frame_pages": self.frame_pages, "source": self.source}
        names = ("ids", "against", "places", "frame_bytes", "frame_hashes", "hashes")
        return seekable.skippable(DIRECTORY, columns.encode(facts, {n: getattr(self, n) for n in names}))

    @property
    def frame_sizes(self) -> NDArray[np.int64]:
        """What each frame decompresses to."""
        starts = np.arange(len(self.frame_bytes)) * self.frame_pages
        sizes: NDArray[np.int64] = np.minimum(len(self.ids) - starts, self.frame_pages) * PAGE_BYTES
        return sizes


def decode_directory(frame: bytes) -> Directory:
    """A directory from its skippable frame. ValueError when it is not what was written, or of another format."""
    if frame[:8] != seekable.skippable(DIRECTORY, b"x" * (len(frame) - 8))[:8]:
        raise ValueError("no directory")
    facts, arrays = columns.decode(frame[8:])
    if facts["format"] != FORMAT:
        raise ValueError(f"of format {facts['format']}, and this vertui reads {FORMAT}")
    source = facts["source"]
    return Directory(
        **arrays, frame_pages=facts["frame_pages"], source=(source[0], source[1]) if source else None
    )


class Pack:
    """A pack open for reading; its file may be unlinked meanwhile. Raises Damaged naming it."""

    def __init__(self, path: Path, number: int) -> None:
        self.path, self.number = path, number
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Damaged(f"pack {path.name} cannot be opened: {error.strerror}") from error
        try:
            self.size_bytes = os.fstat(self._fd).st_size
            self.directory, self.seek_table = self._read_directory()
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            self.close()
            raise Damaged(f"the directory of pack {path.name} cannot be read: {error}") from error
        self._starts = np.concatenate([[0], np.cumsum(self.directory.frame_bytes, dtype=np.int64)])

    def close(self) -> None:
        """Let go of the file; harmless when repeated."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()

    def frame(self, number: int) -> Contents:
        """A frame's pages as stored, shape (k, 4096), once its compressed bytes have the hash that was written."""
        found = self.directory
        start, size = int(self._starts[number]), int(found.frame_bytes[number])
        try:
            data = os.pread(self._fd, size, start)
            if blake3(data).digest() != found.frame_hashes[number].tobytes():
                raise Damaged(f"frame {number} of pack {self.path.name} is not what was written")
            if zstandard.frame_content_size(data) != found.frame_sizes[number]:
                raise Damaged(f"frame {number} of pack {self.path.name} has another size than it should")
            plain = zstandard.ZstdDecompressor().decompress(data)
        except (OSError, zstandard.ZstdError) as error:
            raise Damaged(f"frame {number} of pack {self.path.name} cannot be read: {error}") from error
        return np.frombuffer(plain, np.uint8).reshape(-1, PAGE_BYTES)

    def extra(self) -> bytes:
        """The skippable frame before the directory."""
        sizes = self.seek_table["compressed"].tolist()[-2:]
        end = self.size_bytes - seekable.table_bytes(len(self.seek_table)) - sizes[1]
        return self._tail(sizes[0], end)[seekable.HEADER.size :]

    def check(self) -> None:
        """Does the seek table say what the directory says? Damaged if not: other readers would go wrong by it."""
        found = self.directory
        sizes = [
            *found.frame_bytes.tolist(),
            *self.seek_table["compressed"].tolist()[len(found.frame_bytes) :],
        ]
        whole = [*found.frame_sizes.tolist(), 0]
        same = self.seek_table["decompressed"].tolist() == whole + [0] * (len(self.seek_table) - len(whole))
        total = sum(sizes) + seekable.table_bytes(len(self.seek_table))
        if self.seek_table["compressed"].tolist() != sizes or not same or total != self.size_bytes:
            raise Damaged(f"the seek table of pack {self.path.name} is not what was written")

    def _read_directory(self) -> tuple[Directory, NDArray[np.void]]:
        footer = self._tail(seekable.FOOTER.size, self.size_bytes)
        frames = seekable.FOOTER.unpack(footer)[0]
        table_bytes = seekable.table_bytes(frames)
        table = seekable.read_seek_table(self._tail(table_bytes, self.size_bytes))
        end = self.size_bytes - table_bytes
        return decode_directory(self._tail(int(table["compressed"][-1]), end)), table

    def _tail(self, size: int, end: int) -> bytes:
        if not 0 < size <= end:
            raise ValueError("it is cut short")
        return os.pread(self._fd, size, end - size)


def compress(contents: Contents, frame_pages: int, level: int, threads: int) -> list[bytes]:
    """Frames of these pages; the last may be short. Threads work without the GIL."""
    flat = np.ascontiguousarray(contents).reshape(-1)
    step = frame_pages * PAGE_BYTES
    segments = np.empty((-(-len(flat) // step), 2), "<u8")
    segments[:, 0] = np.arange(len(segments)) * step
    segments[:, 1] = np.minimum(len(flat) - segments[:, 0], step)
    source: Any = zstandard.BufferWithSegments(flat.data, segments.tobytes())
    frames = zstandard.ZstdCompressor(level=level).multi_compress_to_buffer(source, threads=threads)
    return [frames[number].tobytes() for number in range(len(frames))]
