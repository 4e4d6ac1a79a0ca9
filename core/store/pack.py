"""A pack: frames of pages, the directory that says which, and the seek table.

    frame … frame | hashes (skippable 0x184D2A5B) | outline (skippable 0x184D2A5D) | seek table

Hashes and outline, both `columns`, are the directory. To read pages takes the outline alone: the index has the hashes,
which are most of a directory. `zstd -d` prints the frames' contents in order. A page stored against another is the XOR
of both. An external pack has no frames: its pages stand in a file of an image, at the places its outline names, and are
only ever referred to.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from blake3 import blake3
from numpy.typing import NDArray

from core.errors import Damaged
from core.files import read_error
from core.model import PAGE_BYTES
from core.store import columns, seekable
from core.store.expand import expand
from core.store.hashing import Contents, Hashes

FORMAT = 2
MOST_PAGES = 1 << 26  # of a pack of ours: 256 GiB
ROW_BYTES = 32  # at most, of a page in an outline or among the hashes: frames have four pages and more
OUTLINE_KINDS = {
    "ids": columns.U64,
    "against": columns.U64,
    "places": columns.U32,
    "frame_bytes": columns.U32,
    "frame_hashes": columns.ROWS,
}
OUTLINE, HASHES = 0x184D2A5D, 0x184D2A5B
Ids = NDArray[np.uint64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Outline:
    """Where a pack's pages are, by row: ids (n,), against (n,): the id a page was XORed with, or 0.

    Frames, in order, hold `frame_pages` rows each: their lengths and the BLAKE3 of their compressed bytes. An external
    pack has none, but `source`, (image id, file name), and `places` (n,), page numbers in it.
    """

    ids: Ids
    against: Ids
    frame_pages: int
    frame_bytes: NDArray[np.uint32]
    frame_hashes: Hashes
    source: tuple[str, str] | None
    places: NDArray[np.uint32]

    @property
    def frame_sizes(self) -> NDArray[np.int64]:
        """What each frame decompresses to."""
        starts = np.arange(len(self.frame_bytes)) * self.frame_pages
        sizes: NDArray[np.int64] = np.minimum(len(self.ids) - starts, self.frame_pages) * PAGE_BYTES
        return sizes


@dataclass(frozen=True)
class Directory(Outline):
    """An outline with the hash of each row, (n, 32)."""

    hashes: Hashes

    def encode(self) -> tuple[bytes, bytes]:
        """As the two skippable frames that stand in the pack."""
        facts = {"format": FORMAT, "frame_pages": self.frame_pages, "source": self.source}
        arrays = {
            name: getattr(self, name) for name in ("ids", "against", "places", "frame_bytes", "frame_hashes")
        }
        return (
            seekable.skippable(HASHES, columns.encode({}, {"hashes": self.hashes})),
            seekable.skippable(OUTLINE, columns.encode(facts, arrays)),
        )


def decode_outline(frame: bytes, most_bytes: int = columns.LARGEST_BYTES) -> Outline:
    """An outline from its skippable frame. ValueError when it is not what was written, or of another format."""
    facts, arrays = columns.decode(_payload(frame, OUTLINE), OUTLINE_KINDS, most_bytes)
    if facts["format"] != FORMAT:
        raise ValueError(f"of format {str(facts['format'])[:20]}, and this vertui reads {FORMAT}")
    if facts.keys() != {"format", "frame_pages", "source"}:
        raise ValueError("its outline says other things than one")
    source = facts["source"]
    return Outline(
        **arrays, frame_pages=facts["frame_pages"], source=(source[0], source[1]) if source else None
    )


def decode_hashes(frame: bytes, most_bytes: int = columns.LARGEST_BYTES) -> Hashes:
    """The hashes from their skippable frame. ValueError when they are not what was written."""
    return columns.decode(_payload(frame, HASHES), {"hashes": columns.ROWS}, most_bytes)[1]["hashes"]


def _payload(frame: bytes, magic: int) -> memoryview:
    if frame[:8] != seekable.HEADER.pack(magic, len(frame) - seekable.HEADER.size):
        raise ValueError("no directory")
    return memoryview(frame)[seekable.HEADER.size :]


class Pack:
    """A pack open for reading; its file may be unlinked meanwhile. Raises Damaged naming it.

    One of more than `most_pages` pages is refused: its directory would take too much memory.
    """

    def __init__(self, path: Path, number: int, most_pages: int = MOST_PAGES) -> None:
        self.path, self.number, self._fd = path, number, -1
        self._most_bytes = ROW_BYTES * most_pages + columns.ROOM_BYTES
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise read_error(error, f"pack {path.name}") from error
        try:
            self.size_bytes = os.fstat(self._fd).st_size
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_RANDOM)  # a frame, not what lies around it
            self.seek_table = self._read_seek_table()
            self.outline = decode_outline(self._skippable(1), self._most_bytes)
        except OSError as error:
            self.close()
            raise read_error(error, f"the directory of pack {path.name}") from error
        except (ValueError, KeyError, TypeError, IndexError) as error:
            self.close()
            raise Damaged(f"the directory of pack {path.name} cannot be read: {error}") from error
        self._starts = np.concatenate([[0], np.cumsum(self.outline.frame_bytes, dtype=np.int64)])

    @cached_property
    def directory(self) -> Directory:
        """The whole directory: the hashes are read when they are first asked for."""
        try:
            hashes = decode_hashes(self._skippable(2), self._most_bytes)
            if hashes.shape != (len(self.outline.ids), 32):
                raise ValueError("it has more pages than hashes")
        except OSError as error:
            raise read_error(error, f"the directory of pack {self.path.name}") from error
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise Damaged(f"the directory of pack {self.path.name} cannot be read: {error}") from error
        return Directory(**vars(self.outline), hashes=hashes)

    def close(self) -> None:
        """Let go of the file; harmless when repeated."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()

    def frame(self, number: int) -> Contents:
        """A frame's pages as stored, shape (k, 4096), once its compressed bytes have the hash that was written."""
        found = self.outline
        start, size = int(self._starts[number]), int(found.frame_bytes[number])
        wanted = int(found.frame_sizes[number])
        try:
            data = os.pread(self._fd, size, start)
            if blake3(data).digest() != found.frame_hashes[number].tobytes():
                raise Damaged(f"frame {number} of pack {self.path.name} is not what was written")
            plain = expand(data, wanted)
            if len(plain) != wanted:
                raise Damaged(f"frame {number} of pack {self.path.name} has another size than it should")
        except OSError as error:
            raise read_error(error, f"frame {number} of pack {self.path.name}") from error
        except ValueError as error:
            raise Damaged(f"frame {number} of pack {self.path.name} cannot be read: {error}") from error
        return np.frombuffer(plain, np.uint8).reshape(-1, PAGE_BYTES)

    def extra(self) -> memoryview:
        """The skippable frame before the directory."""
        return memoryview(self._skippable(3))[seekable.HEADER.size :]

    def check(self) -> None:
        """Does the seek table say what the directory says? Damaged if not: other readers would go wrong by it."""
        found, frames = self.outline, len(self.outline.frame_bytes)
        compressed, plain = self.seek_table["compressed"], self.seek_table["decompressed"]
        total = int(compressed.sum(dtype=np.int64)) + seekable.table_bytes(len(self.seek_table))
        good = (
            np.array_equal(compressed[:frames], found.frame_bytes)
            and np.array_equal(plain[:frames], found.frame_sizes)
            and len(self.seek_table) > frames
            and not plain[frames:].any()
            and total == self.size_bytes
        )
        if not good:
            raise Damaged(f"the seek table of pack {self.path.name} is not what was written")

    def _read_seek_table(self) -> NDArray[np.void]:
        footer = self._tail(seekable.FOOTER.size, self.size_bytes)
        frames = seekable.FOOTER.unpack(footer)[0]
        return seekable.read_seek_table(self._tail(seekable.table_bytes(frames), self.size_bytes))

    def _skippable(self, last: int) -> bytes:
        """A skippable frame, counted backwards from the seek table: 1 is the last."""
        sizes = self.seek_table["compressed"][-last:].tolist()
        if len(sizes) < last:
            raise ValueError("it is cut short")
        end = self.size_bytes - seekable.table_bytes(len(self.seek_table)) - sum(sizes[1:])
        return self._tail(sizes[0], end)

    def _tail(self, size: int, end: int) -> bytes:
        if not 0 < size <= end:
            raise ValueError("it is cut short")
        if size > self._most_bytes:
            raise ValueError("it is larger than any")
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
