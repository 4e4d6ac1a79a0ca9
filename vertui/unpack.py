"""A tar stream from a hostile guest, written below one directory and nowhere else.

Names are walked with descriptors that follow no link (openat): resolving paths as text has been escaped from again and
again (CVE-2025-4517). What a guest may decide: content of regular files, directories, links that stay inside, judged
from where they come to stand, and second names of what it sent itself. Never owners, set-id bits, devices, or a path
with `..`.
"""

import errno
import os
import secrets
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import Conflict, GuestFailed, VertuiError
from core.files import disk_error
from core.names import spelled
from core.tar import Member, NotATar, Readable, Reader

MOST_MEMBERS = 1_000_000
LATEST = 1 << 33  # seconds; a time beyond what every filesystem can store is the guest's nonsense
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Parts = tuple[bytes, ...]


@dataclass
class Unpacked:
    """What came out: `size_bytes` of data, holes not counted; `skipped` are devices and links that would lead out."""

    files: int = 0
    size_bytes: int = 0
    skipped: list[bytes] = field(default_factory=list)


def unpack_tree(stream: Readable, directory: Path) -> Unpacked:
    """Write a tar stream into `directory`, made where it is missing; one that was made goes again on failure."""
    made = not directory.is_dir()
    try:
        directory.mkdir(exist_ok=True)
    except OSError as error:
        raise disk_error(error, directory) from error
    try:
        return unpack(stream, directory)
    except BaseException:
        if made:
            shutil.rmtree(directory, ignore_errors=True)
        raise


def unpack_file(stream: Readable, directory: Path, name: bytes) -> Unpacked:
    """Write the one regular file of a tar stream into `directory` under that name."""
    with _Tree.at(directory) as tree:
        for member in tree.members(stream):
            if member.kind != tarfile.REGTYPE:
                raise GuestFailed("the guest sent something else than the file that was asked for")
            tree.place(member, (name,))
            return tree.result
    raise GuestFailed("the guest sent no file")


def unpack(stream: Readable, directory: Path) -> Unpacked:
    """Write a tar stream below an existing directory.

    Raises GuestFailed for an archive that is malformed or hostile, and our own errors for the local disk.
    """
    with _Tree.at(directory) as tree:
        for member in tree.members(stream):
            tree.place(member, _parts(member.name))
    return tree.result


class _Tree:
    """The directory `base`, a descriptor, and what was written below it."""

    def __init__(self, base: int) -> None:
        self.result = Unpacked()
        self._base = base
        self._written: set[tuple[int, int]] = set()
        """Device and inode numbers of what may get a second name."""

    @classmethod
    @contextmanager
    def at(cls, directory: Path) -> Iterator["_Tree"]:
        """Open a directory, and say in our own errors what goes wrong in the body."""
        try:
            base = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                yield cls(base)
            finally:
                os.close(base)
        except OSError as error:
            raise _local_error(error, directory) from error
        except NotATar as error:
            raise GuestFailed(f"the guest sent an archive that is not one: {error}") from error

    def members(self, stream: Readable) -> Iterator[Member]:
        """Each entry in turn, while its content can be read."""
        self._reader = Reader(stream)
        for number, member in enumerate(self._reader):
            if number == MOST_MEMBERS:
                raise GuestFailed(f"the guest sent more than {MOST_MEMBERS} files: copy fewer at a time")
            yield member

    def place(self, member: Member, parts: Parts) -> None:
        """Write one entry under a name."""
        if not parts:
            return  # the directory itself
        if member.kind == tarfile.DIRTYPE:
            with self._directory(parts) as descriptor:
                os.fchmod(descriptor, member.mode & 0o755 | 0o700)
            return
        with self._directory(parts[:-1]) as parent:
            placed = {
                tarfile.REGTYPE: self._write_file,
                tarfile.SYMTYPE: self._symlink,
                tarfile.LNKTYPE: self._link,
            }.get(member.kind, _left_out)(member, parts, parent)
        if placed:
            self.result.files += 1
            self.result.size_bytes += member.stored_bytes
        else:
            self.result.skipped.append(b"/".join(parts))

    def _write_file(self, member: Member, parts: Parts, parent: int) -> bool:
        partial = b".vertui-" + secrets.token_hex(8).encode()
        descriptor = os.open(partial, NEW_FILE, 0o600, dir_fd=parent)
        with _whole(parent, partial, parts[-1]), os.fdopen(descriptor, "wb", buffering=0) as file:
            for offset, data in self._reader.data(member):
                _write_at(file.fileno(), data, offset)
            file.truncate(member.size)
            os.fchmod(descriptor, member.mode & 0o755 | 0o600)
            moment = min(max(0, member.mtime), LATEST)
            os.utime(descriptor, (moment, moment))
            self._remember(os.fstat(descriptor))
        return True

    def _symlink(self, member: Member, parts: Parts, parent: int) -> bool:
        if not stays_inside(member.link, len(parts) - 1):
            return False
        _clear(parent, parts[-1])
        os.symlink(member.link, parts[-1], dir_fd=parent)
        self._remember(os.stat(parts[-1], dir_fd=parent, follow_symlinks=False))
        return True

    def _link(self, member: Member, parts: Parts, parent: int) -> bool:
        """A second name of something written already; a symlink is judged anew from where it comes to stand."""
        target = _parts(member.link)
        try:
            with self._directory(target[:-1], make=False) as directory:
                seen = os.stat(target[-1], dir_fd=directory, follow_symlinks=False) if target else None
                if seen is None or (seen.st_dev, seen.st_ino) not in self._written:
                    return False
                with suppress(OSError):  # what is no symlink cannot be read as one
                    if not stays_inside(os.readlink(target[-1], dir_fd=directory), len(parts) - 1):
                        return False
                if not _is_same(parent, parts[-1], seen):
                    _clear(parent, parts[-1])
                    link = {"src_dir_fd": directory, "dst_dir_fd": parent}
                    os.link(target[-1], parts[-1], **link, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):  # what it is a name of was left out
            return False
        return True

    def _remember(self, info: os.stat_result) -> None:
        self._written.add((info.st_dev, info.st_ino))

    @contextmanager
    def _directory(self, parts: Parts, make: bool = True) -> Iterator[int]:
        """A descriptor of the directory `parts` below the base, made where missing, following no link."""
        descriptor = os.dup(self._base)
        try:
            for part in parts:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=descriptor)
                inner = os.open(part, DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)


def stays_inside(target: bytes, depth: int) -> bool:
    """May a symlink `depth` directories below the root point there?

    Relative, with `..` only in front and no more of them than there are real directories above: then, link by
    link, whatever it resolves to is below the root.
    """
    parts = [part for part in target.split(b"/") if part not in (b"", b".")]
    ups = parts.count(b"..")
    return bool(target) and target[:1] != b"/" and ups <= depth and parts[:ups] == [b".."] * ups


def _left_out(_: Member, __: Parts, ___: int) -> bool:
    return False


def _parts(name: bytes) -> Parts:
    parts = tuple(part for part in name.split(b"/") if part not in (b"", b"."))
    if b".." in parts:
        raise GuestFailed("the guest sent a path that leads out of the copy: nothing more was written")
    return parts


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    left = memoryview(data)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written


@contextmanager
def _whole(parent: int, partial: bytes, name: bytes) -> Iterator[None]:
    """Give a file its name once it is whole: what stood there goes then, and nothing half-written stays."""
    try:
        yield
        os.replace(partial, name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException as error:
        os.unlink(partial, dir_fd=parent)
        if isinstance(error, IsADirectoryError):
            raise _in_the_way(name) from error
        raise


def _is_same(parent: int, name: bytes, seen: os.stat_result) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.stat(name, dir_fd=parent, follow_symlinks=False), seen)
    return False


def _clear(parent: int, name: bytes) -> None:
    """Remove a file or link that stands where one is to be written."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return
    except IsADirectoryError as error:
        raise _in_the_way(name) from error


def _in_the_way(name: bytes) -> Conflict:
    return Conflict(f"{spelled(name)} is a directory here and a file in the guest: remove one")


def _local_error(error: OSError, root: Path) -> VertuiError:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return Conflict(f"a link or file stands in {root} where the guest has a directory: remove it")
    return disk_error(error, root)
