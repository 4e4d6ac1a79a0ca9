"""Bytes as a binary patch carries them: git's `GIT binary patch`, documented by its apply.c and base85.c.

Each hunk is the whole new content ("literal"), deflated, in lines of at most 52 bytes; a letter says how many.
"""

import zlib
from base64 import b85encode
from collections.abc import Iterable, Iterator
from string import ascii_letters

import numpy as np

_LINE_BYTES = 52
_LENGTHS = (ascii_letters[26:] + ascii_letters[:26]).encode()  # A is 1, Z is 26, a is 27, z is 52
_DIGITS = np.frombuffer(b"".join(b85encode(bytes((0, 0, 0, digit)))[-1:] for digit in range(85)), np.uint8)
_PLACES = 85 ** np.arange(4, -1, -1, dtype=np.uint32)
_ENCODE_BYTES = 4096 * _LINE_BYTES  # at once: enough that arrays pay, little enough to stay in a cache

Sized = tuple[int, Iterable[bytes]]
"""A content's length, and its bytes in pieces."""


def binary_patch(old: Sized, new: Sized) -> Iterator[bytes]:
    """Lines, several at once, that turn `old` into `new`, and back for `git apply -R`."""
    yield b"GIT binary patch\n"
    yield from _literal(*new)
    yield from _literal(*old)


def _literal(size: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield b"literal %d\n" % size
    packed = b""
    for part in _deflated(pieces):
        packed += part
        if len(packed) >= _ENCODE_BYTES:
            whole = len(packed) // _LINE_BYTES * _LINE_BYTES
            yield _full_lines(packed[:whole])
            packed = packed[whole:]
    whole = len(packed) // _LINE_BYTES * _LINE_BYTES
    yield _full_lines(packed[:whole])
    if rest := packed[whole:]:
        yield _LENGTHS[len(rest) - 1 : len(rest)] + b85encode(rest, pad=True) + b"\n"
    yield b"\n"


def _deflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj()
    yield from map(packer.compress, pieces)
    yield packer.flush()


def _full_lines(data: bytes) -> bytes:
    """Whole lines of 52 bytes each: ten times as fast as a line at a time."""
    words = np.frombuffer(data, ">u4").astype(np.uint32)
    digits = _DIGITS[words[:, None] // _PLACES % 85].reshape(-1, _LINE_BYTES // 4 * 5)
    return np.pad(digits, ((0, 0), (1, 1)), constant_values=((0, 0), (_LENGTHS[-1], ord("\n")))).tobytes()
