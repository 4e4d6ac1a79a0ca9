"""The one way state files are written: whole, durable, or not at all; and the seam every write of the store takes."""

import contextlib
import errno
import fnmatch
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import Damaged, NoRoom, VertuiError
from core.room import no_room

FULL = {errno.ENOSPC, errno.EDQUOT}
SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN}
"""Of descriptors or memory: what is wanted is there, and is read another time."""
REFUSED = {errno.EACCES, errno.EPERM}
Buffer = bytes | bytearray | memoryview


def disk_error(error: OSError, path: Path, needed_bytes: int = 0) -> VertuiError:
    """The error a user reads when a file of ours cannot be written."""
    if error.errno in FULL:
        return no_room(path.name, path, needed_bytes)
    return want_of_means(error, path.name) or VertuiError(f"cannot write {path}: {error.strerror}")


def want_of_means(error: OSError, what: str) -> VertuiError | None:
    """The error when this process, and not what it looks for, is at fault; None when that may be."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return NoRoom(
            f"{what} cannot be opened, {error.strerror}: raise `ulimit -n` and start the daemon again"
        )
    if error.errno in SHORT:
        return NoRoom(f"{what} cannot be read, {error.strerror}: free some memory and try again")
    if error.errno in REFUSED:
        return VertuiError(f"{what} cannot be opened, {error.strerror}: it must belong to you")
    return None


def read_error(error: OSError, what: str) -> VertuiError:
    """The error when a file of ours cannot be read: Damaged unless it is for want of means."""
    return want_of_means(error, what) or Damaged(f"{what} cannot be read: {error.strerror}")


class Files:
    """Every call by which the store changes the filesystem. A test wraps it to record, drop or fail them.

    Raises NoRoom on a full disk, VertuiError otherwise.
    """

    def append(self, path: Path, data: Buffer) -> None:
        """Add bytes to the end of a file, made private to this user when it is not there."""
        with _mapped(path, len(data)):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
            finally:
                os.close(descriptor)

    def fsync(self, path: Path) -> None:
        """Make a file's bytes durable, whoever wrote them; or a directory's names."""
        with _mapped(path):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def cut(self, path: Path, size: int) -> None:
        """Take what lies behind so many bytes off a file's end."""
        with _mapped(path):
            os.truncate(path, size)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, replacing what had it."""
        with _mapped(target):
            source.replace(target)

    def unlink(self, path: Path) -> None:
        """Remove a file; one that is not there is no error."""
        with _mapped(path):
            path.unlink(missing_ok=True)

    def mkdir(self, path: Path) -> None:
        """Make a directory private to this user, if it is not there."""
        with _mapped(path):
            path.mkdir(mode=0o700, exist_ok=True)

    def replace(self, path: Path, data: Buffer, *, durable: bool = True) -> None:
        """Replace a file by `data`: readers see the old bytes or the new, also after a crash. On failure nothing
        changed. What is not `durable` outlives every process, and not the host's power.

        Cannot promise durability on a disk that lies about flushes.
        """
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            self.unlink(temporary)
            self.append(temporary, data)
            if durable:
                self.fsync(temporary)
            self.rename(temporary, path)
        except BaseException:
            with contextlib.suppress(VertuiError):
                self.unlink(temporary)
            raise
        if durable:
            self.fsync(path.parent)


@contextmanager
def _mapped(path: Path, needed_bytes: int = 0) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_error(error, path, needed_bytes) from error


def file_bytes(path: Path) -> int:
    """A file's length; 0 for one that has just gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def memory_file(name: str, flags: int = 0) -> int:
    """A new, empty file in memory; the descriptor is the caller's. NoRoom when no more can be had."""
    try:
        return os.memfd_create(name, flags | os.MFD_CLOEXEC)
    except OSError as error:
        raise NoRoom(f"no more files in memory can be had: {error.strerror}") from error


def listed(directory: Path, pattern: str) -> list[Path]:
    """The files of a directory whose names match, sorted; none of one that is not there. What cannot be looked at is
    not called empty.
    """
    try:
        return sorted(path for path in directory.iterdir() if fnmatch.fnmatchcase(path.name, pattern))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise read_error(error, str(directory)) from error


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    os_files.fsync(path)


def write_atomic(path: Path, data: Buffer) -> None:
    """`Files.replace` for state that is not the store's."""
    os_files.replace(path, data)


def remove_unfinished(path: Path) -> None:
    """Remove what a process that was killed left half written of a file (see `Files.replace`)."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        leftover.unlink(missing_ok=True)


os_files = Files()
