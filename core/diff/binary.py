"""Bytes as a binary patch carries them: git's `GIT binary patch`, documented by its apply.c and base85.c.

Each hunk is the whole new content ("literal"), deflated, in lines of at most 52 bytes; a letter says how many.
"""

import zlib
from base64 import b85encode
from collections.abc import Iterator
from string import ascii_letters

_LINE_BYTES = 52
_LENGTHS = (ascii_letters[26:] + ascii_letters[:26]).encode()  # A is 1, Z is 26, a is 27, z is 52


def binary_patch(old: bytes, new: bytes) -> Iterator[bytes]:
    """Lines that turn `old` into `new`, and back for `git apply -R`."""
    yield b"GIT binary patch\n"
    yield from _literal(new)
    yield from _literal(old)


def _literal(data: bytes) -> Iterator[bytes]:
    yield b"literal %d\n" % len(data)
    packed = zlib.compress(data)
    for start in range(0, len(packed), _LINE_BYTES):
        line = packed[start : start + _LINE_BYTES]
        yield _LENGTHS[len(line) - 1 : len(line)] + b85encode(line, pad=True) + b"\n"
    yield b"\n"
