"""Named arrays and a few facts as one compressed, self-verifying string of bytes: directories, tables, exports.

    BLAKE3 of the rest (32) | zstd( length of the facts (u32) | facts (JSON) | arrays in the order of facts["arrays"] )

Integer arrays of one dimension are stored as differences, the first bytes of all of them before the second bytes, and
so on: runs of ids then take next to nothing.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import zstandard
from blake3 import blake3
from numpy.typing import NDArray

from core.store.expand import expand

LEVEL = 3
LARGEST_BYTES = 1 << 32  # no table or directory comes near; who reads what others wrote allows far less
LARGEST_FACTS = 1 << 20
ROOM_BYTES = 1 << 16  # for what columns say beside their numbers
U64, U32, BYTES, ROWS = ("<u8", 1), ("<u4", 1), ("|u1", 1), ("|u1", 2)
Kinds = Mapping[str, tuple[str, int]]
"""By name, a column's type and dimensions."""
Arrays = Mapping[str, NDArray[Any]]
Facts = dict[str, Any]
"""As they were written; whoever reads them looks whether they are what they should be."""


def encode(facts: Mapping[str, Any], arrays: Arrays) -> bytes:
    """The bytes of facts and arrays."""
    described = [(name, array.dtype.str, array.shape) for name, array in arrays.items()]
    head = json.dumps({**facts, "arrays": described}).encode()
    parts = [len(head).to_bytes(4, "little"), head, *(_flat(array) for array in arrays.values())]
    body = zstandard.ZstdCompressor(level=LEVEL).compress(b"".join(parts))
    return blake3(body).digest() + body


def decode(
    data: bytes | memoryview, kinds: Kinds, most_bytes: int = LARGEST_BYTES
) -> tuple[Facts, dict[str, NDArray[Any]]]:
    """Facts and arrays again. ValueError when these are not the bytes that were encoded, or arrays of other kinds."""
    body = memoryview(data)[32:]
    if blake3(body).digest() != bytes(data[:32]):
        raise ValueError("not the bytes that were written")
    plain = expand(body, most_bytes)
    at = 4 + int.from_bytes(plain[:4], "little")
    if at > LARGEST_FACTS:
        raise ValueError("its facts are too long")
    try:
        facts = json.loads(plain[4:at])
    except RecursionError as error:
        raise ValueError("its facts are too deep") from error
    described = facts.pop("arrays")
    found = {name: (kind, len(shape)) for name, kind, shape in described}
    if found != kinds or len(described) != len(kinds):
        raise ValueError("its columns are of other kinds")
    arrays: dict[str, NDArray[Any]] = {}
    for name, kind, shape in described:
        dtype, count = np.dtype(kind), math.prod(map(_length, shape))
        if at + count * dtype.itemsize > len(plain):
            raise ValueError("its columns are cut short")
        arrays[name] = _unflat(np.frombuffer(plain, np.uint8, count * dtype.itemsize, at), dtype, shape)
        at += count * dtype.itemsize
    if at != len(plain):
        raise ValueError("it holds more than its columns")
    return facts, arrays


def _length(told: object) -> int:
    if type(told) is not int or not 0 <= told <= LARGEST_BYTES:
        raise ValueError("a column has no length")
    return told


def _flat(array: NDArray[Any]) -> bytes:
    if array.ndim != 1 or array.dtype.itemsize == 1:
        return array.tobytes()
    steps = np.diff(array, prepend=array.dtype.type(0))
    return np.ascontiguousarray(steps.view(np.uint8).reshape(len(array), array.dtype.itemsize).T).tobytes()


def _unflat(data: NDArray[np.uint8], dtype: np.dtype[Any], shape: list[int]) -> NDArray[Any]:
    if len(shape) != 1 or dtype.itemsize == 1:
        return data.view(dtype).reshape(shape)
    steps = np.ascontiguousarray(data.reshape(dtype.itemsize, shape[0]).T).view(dtype).reshape(-1)
    return np.cumsum(steps, dtype=dtype)
