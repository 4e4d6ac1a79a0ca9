"""What readers of views met that is not as it was written: a record each, which the server writes and the daemon reads.

The records are lines of JSON in one file. The server appends, and may be killed at any instant; the daemon looks for
the newest about one commit when a machine on it has ended.
"""

import contextlib
import functools
import json
import os
from dataclasses import dataclass
from pathlib import Path

from core.codec import decode, encode
from core.log import shorten

LARGEST_BYTES = 8 << 20
"""Of a log: a store that is all damaged does not fill a disk; the daemon shortens it long before."""
NEWEST_BYTES = 1 << 16  # of it, in which the daemon looks


@dataclass(frozen=True)
class Damage:
    """A page of a commit's medium that could not be read, and why; `page` is None when all of the medium could not."""

    commit: str
    medium: str
    page: int | None
    reason: str

    def __str__(self) -> str:
        where = "" if self.page is None else f" page {self.page}"
        return f"commit {self.commit} {self.medium}{where}: {self.reason}"


class Damages:
    """The records in a file, which need not be there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.note = functools.lru_cache(1024)(self._note)
        """Write one down; once, however often a reader tries again. A full disk keeps no reader waiting."""

    def newest(self, commit: str) -> Damage | None:
        """The newest record about a commit, if there is one."""
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - NEWEST_BYTES))
                lines = file.read().split(b"\n")
        except FileNotFoundError:
            return None
        found = (damage for line in reversed(lines) if (damage := _read(line)))
        return next((damage for damage in found if damage.commit == commit), None)

    def shorten(self) -> None:
        """Leave the newest records of a file that has grown long."""
        shorten(self._path)

    def _note(self, damage: Damage) -> None:
        record = json.dumps(encode(damage)).encode() + b"\n"
        with contextlib.suppress(OSError):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                if os.fstat(descriptor).st_size < LARGEST_BYTES:
                    os.write(descriptor, record)
            finally:
                os.close(descriptor)


def _read(line: bytes) -> Damage | None:
    """A record; None for one that a full disk or the file's beginning has cut."""
    try:
        return decode(Damage, json.loads(line))
    except ValueError:
        return None
