"""What a command was given and its entry does not tell: the values of its variables, and its input.

A replay needs them, and nobody else gets them: they lie packed in the file of bodies, which is private to the user as
the home's secrets are, and no answer, no export and no search has them. The entry tells their hash, so a salt is packed
with them: nobody who was sent an entry can try out what a short value may have been.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from zstandard import ZstdCompressor

from core.journal.record import LEVEL

SALT_BYTES = 16
MOST_KEPT_BYTES = 16 << 20  # of input: so much is held in memory at most, packed, while a command runs


@dataclass(frozen=True)
class CommandMeans:
    """Variables with their values, and the whole input."""

    env: Mapping[str, str]
    stdin: bytes


class MeansPacker:
    """Packs them as the input comes: each piece takes a fraction of a millisecond. Of input that is too much none is
    kept.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = dict(env)
        self._bytes = 0
        self._begin()

    def _begin(self) -> None:
        self._packer = ZstdCompressor(level=LEVEL).compressobj()
        head = {"salt": os.urandom(SALT_BYTES).hex(), "env": self._env}
        self._packed = bytearray(self._packer.compress(json.dumps(head).encode() + b"\n"))

    def add(self, data: bytes) -> None:
        """More input."""
        fitted = self._bytes <= MOST_KEPT_BYTES
        self._bytes += len(data)
        if self._bytes <= MOST_KEPT_BYTES:
            self._packed += self._packer.compress(data)
        elif fitted:
            self._begin()

    def finish(self) -> bytes:
        """All of it, packed; nothing when there is nothing to keep."""
        if not self._env and not 0 < self._bytes <= MOST_KEPT_BYTES:
            return b""
        return bytes(self._packed + self._packer.flush())


def means_of(data: bytes) -> CommandMeans:
    """What was packed, unpacked by `ChainStretch.body`."""
    head, _, stdin = data.partition(b"\n")
    return CommandMeans(json.loads(head)["env"], stdin)
