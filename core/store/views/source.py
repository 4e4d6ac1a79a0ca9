"""Where views get their bytes."""

import os
from pathlib import Path
from typing import Protocol

from core.errors import Damaged


class PageSource(Protocol):
    """Contents of commits. Called from several threads at once; must never touch a view, for it would wait for itself.

    The server calls `FACTORY(root)` once, with what its command line names.
    """

    def size_bytes(self, commit: str, medium: str) -> int | None:
        """The length of a commit's `memory` or `disk`; None when there is none. It never changes."""
        ...

    def read(self, commit: str, medium: str, offset: int, length: int) -> bytes | memoryview:
        """Exactly `length` bytes that lie within the medium, verified. Damaged when they are not what was written."""
        ...


class FileSource:
    """Plain files `ROOT/COMMIT/MEDIUM`, as a directory of exported commits has them."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def size_bytes(self, commit: str, medium: str) -> int | None:
        """The file's size."""
        try:
            return self._path(commit, medium).stat().st_size
        except FileNotFoundError:
            return None

    def read(self, commit: str, medium: str, offset: int, length: int) -> bytes | memoryview:
        """The file's bytes; Damaged when they cannot be read."""
        try:
            descriptor = os.open(self._path(commit, medium), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Damaged(f"{medium} of commit {commit[:12]} cannot be read: {error.strerror}") from error
        try:
            return os.pread(descriptor, length, offset)
        except OSError as error:
            raise Damaged(f"{medium} of commit {commit[:12]} cannot be read: {error.strerror}") from error
        finally:
            os.close(descriptor)

    def _path(self, commit: str, medium: str) -> Path:
        return self._root / commit / medium
