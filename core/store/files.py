"""The one way state files are written: whole, durable, or not at all."""

import os
from pathlib import Path

from core.errors import NoRoom, VertuiError

FULL = {28, 122}  # ENOSPC, EDQUOT


def disk_error(error: OSError, path: Path) -> VertuiError:
    """The error a user reads when a file of ours cannot be written."""
    if error.errno in FULL:
        return NoRoom(f"no space left for {path.name}: free some space and try again")
    return VertuiError(f"cannot write {path}: {error.strerror}")


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make a file's bytes durable, whoever wrote them."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes | bytearray | memoryview) -> None:
    """Replace `path` by `data`: readers see the old bytes or the new, also after a crash.

    Cannot promise durability on a disk that lies about flushes. Raises NoRoom on a full disk; nothing changed then.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise disk_error(error, path) from error
