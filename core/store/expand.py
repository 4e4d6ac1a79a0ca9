"""Zstandard frames of others, decompressed into no more memory than was agreed to."""

import zstandard


def expand(frame: bytes | memoryview, most_bytes: int) -> bytes:
    """What a frame holds. ValueError when it is no whole frame, says nothing of its size, or is larger.

    Memory of the size that a frame claims is taken at once, whatever it holds, so that the claim is checked first.
    """
    try:
        size = zstandard.frame_content_size(frame)
        if not 0 <= size <= most_bytes:
            raise ValueError("too large")
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
