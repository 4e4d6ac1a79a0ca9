"""Plain files as a source of views, with a record of what was read and with damage where a test wants it."""

import os
from pathlib import Path

from core.errors import Damaged
from core.model import PAGE_BYTES


class Files:
    """Plain files ROOT/COMMIT/MEDIUM."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def size_bytes(self, commit: str, medium: str) -> int | None:
        path = self.root / commit / medium
        return path.stat().st_size if path.exists() else None

    def read(self, commit: str, medium: str, offset: int, length: int) -> bytes | memoryview:
        with (self.root / commit / medium).open("rb", buffering=0) as file:
            file.seek(offset)
            return file.read(length)


class Watched(Files):
    """Appends "COMMIT MEDIUM FIRST COUNT" (in pages) to ROOT/reads.

    ROOT/COMMIT/MEDIUM.damaged lists pages that are damaged, MEDIUM.short pages after which its answers end too early.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads = os.open(root / "reads", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def read(self, commit: str, medium: str, offset: int, length: int) -> bytes | memoryview:
        first, count = offset // PAGE_BYTES, -(-length // PAGE_BYTES)
        os.write(self.reads, f"{commit} {medium} {first} {count}\n".encode())
        asked = range(first, first + count)
        for page in self.marked(commit, f"{medium}.damaged"):
            if page in asked:
                raise Damaged(f"page {page} is not what was written")
        data = super().read(commit, medium, offset, length)
        if any(page in asked for page in self.marked(commit, f"{medium}.short")):
            return data[: length - 100]
        return data

    def marked(self, commit: str, name: str) -> list[int]:
        path = self.root / commit / name
        return [int(word) for word in path.read_text().split()] if path.exists() else []
