"""Named arrays and a few facts as one compressed, self-verifying string of bytes: directories, tables, exports.

    BLAKE3 of the rest (32) | zstd( length of the facts (u32) | facts (JSON) | arrays in the order of facts["arrays"] )

Integer arrays of one dimension are stored as differences, first bytes first: runs of ids then take next to nothing.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import zstandard
from blake3 import blake3
from numpy.typing import NDArray

LEVEL = 3
LARGEST_BYTES = 1 << 32  # no table or directory comes near; a hostile import might claim more
Arrays = Mapping[str, NDArray[Any]]


def encode(facts: Mapping[str, Any], arrays: Arrays) -> bytes:
    """The bytes of facts and arrays."""
    described = [(name, array.dtype.str, array.shape) for name, array in arrays.items()]
    head = json.dumps({**facts, "arrays": described}).encode()
    parts = [len(head).to_bytes(4, "little"), head, *(_flat(array) for array in arrays.values())]
    body = zstandard.ZstdCompressor(level=LEVEL).compress(b"".join(parts))
    return blake3(body).digest() + body


def decode(data: bytes | memoryview) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Facts and arrays again. ValueError when these are not the bytes that were encoded."""
    body = bytes(data[32:])
    if blake3(body).digest() != bytes(data[:32]):
        raise ValueError("not the bytes that were written")
    if zstandard.frame_content_size(body) > LARGEST_BYTES:
        raise ValueError("too large")
    try:
        plain = zstandard.ZstdDecompressor().decompress(body)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    at = 4 + int.from_bytes(plain[:4], "little")
    facts = json.loads(plain[4:at])
    arrays: dict[str, NDArray[Any]] = {}
    for name, kind, shape in facts.pop("arrays"):
        dtype = np.dtype(kind)
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = _unflat(plain[at : at + count * dtype.itemsize], dtype, shape)
        at += count * dtype.itemsize
    return facts, arrays


def _flat(array: NDArray[Any]) -> bytes:
    if array.ndim != 1 or array.dtype.itemsize == 1:
        return array.tobytes()
    steps = np.diff(array, prepend=array.dtype.type(0))
    return np.ascontiguousarray(steps.view(np.uint8).reshape(len(array), array.dtype.itemsize).T).tobytes()


def _unflat(data: bytes, dtype: np.dtype[Any], shape: list[int]) -> NDArray[Any]:
    if len(shape) != 1 or dtype.itemsize == 1:
        return np.frombuffer(data, dtype).reshape(shape)
    planes = np.frombuffer(data, np.uint8).reshape(dtype.itemsize, shape[0])
    steps = np.ascontiguousarray(planes.T).view(dtype).reshape(-1)
    return np.cumsum(steps, dtype=dtype)
