"""Where views get their bytes."""

from pathlib import Path
from typing import Protocol

from core.errors import NotFound
from core.model import PAGE_BYTES
from core.store.reader import PageReader
from core.store.values import MEMORY


class PageSource(Protocol):
    """Contents of commits. Called from several threads at once; must never touch a view: it would wait for itself.

    The server makes one, `FACTORY(root)`, out of what its command line names.
    """

    def size_bytes(self, commit: str, medium: str) -> int | None:
        """The length of a commit's `memory` or `disk`; None when there is none. It never changes."""
        ...

    def read(self, commit: str, medium: str, offset: int, length: int) -> bytes | memoryview:
        """Exactly `length` bytes that lie within the medium, verified. Damaged when they are not what was written."""
        ...


class StoredPages:
    """The commits of a home's store."""

    def __init__(self, home: Path) -> None:
        self._reader = PageReader(home)

    def size_bytes(self, commit: str, medium: str) -> int | None:
        """What the machine's spec says."""
        try:
            spec = self._reader.manifest(commit).spec
        except NotFound:
            return None
        return spec.memory_bytes if medium == MEMORY else spec.disk_bytes

    def read(self, commit: str, medium: str, offset: int, length: int) -> bytes | memoryview:
        """The bytes of the pages they lie in."""
        first, end = offset // PAGE_BYTES, -(-(offset + length) // PAGE_BYTES)
        data = self._reader.read(commit, medium, first, end - first)
        return memoryview(data)[offset - first * PAGE_BYTES :][:length]
