"""The Zstandard seekable format's seek table: where each frame of a file begins, in a skippable frame at its end.

Source: contrib/seekable_format/zstd_seekable_compression_format.md of facebook/zstd. Ours carries no checksums there: a
pack's directory has a BLAKE3 of every frame.
"""

import struct

import numpy as np
from numpy.typing import NDArray

SKIPPABLE, SEEKABLE = 0x184D2A5E, 0x8F92EAB1
HEADER, FOOTER = struct.Struct("<II"), struct.Struct("<IBI")
ENTRY = np.dtype([("compressed", "<u4"), ("decompressed", "<u4")])


def skippable(magic: int, payload: bytes) -> bytes:
    """A frame every Zstandard decoder passes over; `magic` is 0x184D2A50 to 0x184D2A5F."""
    return HEADER.pack(magic, len(payload)) + payload


def seek_table(compressed: NDArray[np.int64], decompressed: NDArray[np.int64]) -> bytes:
    """The closing frame of a file of frames of these lengths, skippable ones (which decompress to nothing) included."""
    entries = np.empty(len(compressed), ENTRY)
    entries["compressed"], entries["decompressed"] = compressed, decompressed
    return skippable(SKIPPABLE, entries.tobytes() + FOOTER.pack(len(entries), 0, SEEKABLE))


def table_bytes(frames: int) -> int:
    """How long a seek table of that many frames is."""
    return HEADER.size + frames * ENTRY.itemsize + FOOTER.size


def read_seek_table(data: bytes) -> NDArray[np.void]:
    """The entries of a whole seek table. ValueError when it is none."""
    frames, flags, magic = FOOTER.unpack(data[-FOOTER.size :])
    kind, size = HEADER.unpack(data[: HEADER.size])
    if (magic, flags, kind) != (SEEKABLE, 0, SKIPPABLE) or not len(data) == table_bytes(frames) == size + 8:
        raise ValueError("no seek table")
    return np.frombuffer(data[HEADER.size : -FOOTER.size], ENTRY)
