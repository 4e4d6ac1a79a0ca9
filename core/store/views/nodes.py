"""Node numbers of commits, in a memory file that outlives the server: its successor is asked about the same numbers.

A node is `4 * place + medium`, medium 0 being the commit's directory, and `place` the commit's line in the file, from
1 on: the kernel's root is node 1. Lines have one length and are only appended; one a kill cut short is written again.
"""

import os
import re
import threading

from core.files import memory_file

NAME = re.compile(r"[0-9a-f]{6,63}")
LINE_BYTES = 64
EXACT = "exact"  # memory again, of which only single pages can be read: what is read is what was wanted
MEDIA = ("", "memory", "disk", EXACT)


def make() -> int:
    """A new, empty file; the caller owns the descriptor. NoRoom when none can be had."""
    return memory_file("vertui-nodes")


class Nodes:
    """The numbering, by a descriptor that stays the caller's. Safe from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        lines = os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode("ascii").split("\n")
        self._commits = [line.strip() for line in lines if len(line) == LINE_BYTES - 1]
        self._places = {commit: place for place, commit in enumerate(self._commits, 1)}

    def node(self, commit: str, medium: str = "") -> int:
        """The node of a commit's directory or medium; it has that number for good."""
        with self._lock:
            place = self._places.get(commit) or self._append(commit)
        return 4 * place + MEDIA.index(medium)

    def find(self, node: int) -> tuple[str, str] | None:
        """Commit and medium ("" is the directory) of a node; None for a number never given."""
        place, medium = divmod(node, 4)
        if not 1 <= place <= len(self._commits) or medium >= len(MEDIA):
            return None
        return self._commits[place - 1], MEDIA[medium]

    def commits(self) -> list[str]:
        """All that have a number, oldest first."""
        return list(self._commits)

    def _append(self, commit: str) -> int:
        line = f"{commit:{LINE_BYTES - 1}}\n".encode("ascii")
        os.pwrite(self._descriptor, line, len(self._commits) * LINE_BYTES)
        self._commits.append(commit)
        self._places[commit] = len(self._commits)
        return len(self._commits)
