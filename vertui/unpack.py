"""A tar stream from a hostile guest, written below one directory and nowhere else.

`tarfile` only parses; names are walked with descriptors that follow no link (openat), because its own extraction
filters resolve paths as text and have been escaped that way (CVE-2025-4517). What a guest may decide: content of
regular files, directories, and links that stay inside. Never owners, set-id bits, devices, or a path with `..`.
"""

import errno
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol, Self, cast

from core.errors import Conflict, GuestFailed, VertuiError
from core.store.files import disk_error

MOST_MEMBERS = 1_000_000
LONGEST_PATH = 4096
BLOCK_BYTES = 256 * 1024
LATEST = 1 << 33  # seconds; a time beyond what every filesystem can store is the guest's nonsense
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
TYPES = (
    tarfile.REGTYPE,
    tarfile.AREGTYPE,
    tarfile.DIRTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.FIFOTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
LONG_NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


class Readable(Protocol):
    """What a tar stream is read from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


class _Header(tarfile.TarInfo):
    """Refuses headers GNU tar does not write for us and that would be read into memory whole."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.type not in TYPES or header.size < 0:
            raise tarfile.ReadError("unexpected type of entry")
        if header.type in LONG_NAMES and header.size > LONGEST_PATH:
            raise tarfile.ReadError("a name is too long")
        return header


@dataclass
class Unpacked:
    """What came out: `skipped` are devices and links that would lead out, by name."""

    files: int = 0
    size_bytes: int = 0
    skipped: list[str] = field(default_factory=list)


def unpack(stream: Readable, root: Path, only: str | None = None) -> Unpacked:
    """Write a tar stream below the existing directory `root`; with `only`, its one file under that name.

    Raises GuestFailed for an archive that is malformed or hostile, and our own errors for the local disk.
    """
    result = Unpacked()
    base = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for member, archive in _members(stream):
            parts = _parts(member.name) if only is None else (only,)
            _place(base, parts, member, archive, result)
            if only is not None:
                break
    except OSError as error:
        raise _local_error(error, root) from error
    except (tarfile.TarError, RecursionError, ValueError, OverflowError) as error:
        raise GuestFailed(f"the guest sent an archive that is not one: {error}") from error
    finally:
        os.close(base)
    return result


def _members(stream: Readable) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """Each entry in turn, while its content can be read."""
    source = cast(IO[bytes], stream)  # tarfile calls nothing but read
    with tarfile.open(fileobj=source, mode="r|", tarinfo=_Header, bufsize=BLOCK_BYTES) as archive:
        for _ in range(MOST_MEMBERS):
            member = archive.next()
            if member is None:
                return
            archive.members = []  # type: ignore[attr-defined]  # or a million are kept
            yield member, archive
    raise GuestFailed(f"the guest sent more than {MOST_MEMBERS} files: copy fewer at a time")


def _place(
    base: int, parts: tuple[str, ...], member: tarfile.TarInfo, archive: tarfile.TarFile, result: Unpacked
) -> None:
    if not parts:
        return  # the root itself
    if member.isdir():
        with _directory(base, parts) as descriptor:
            os.fchmod(descriptor, member.mode & 0o755 | 0o700)
        return
    with _directory(base, parts[:-1]) as parent:
        if member.isreg():
            _write_file(parent, parts[-1], member, archive)
            result.files += 1
            result.size_bytes += member.size
        elif member.issym() and stays_inside(member.linkname, len(parts) - 1):
            _clear(parent, parts[-1])
            os.symlink(member.linkname, parts[-1], dir_fd=parent)
            result.files += 1
        elif member.islnk():
            _link(base, _parts(member.linkname), parent, parts[-1])
            result.files += 1
        else:
            result.skipped.append("/".join(parts))


def _write_file(parent: int, name: str, member: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
    content = archive.extractfile(member)
    assert content is not None  # a regular file has content
    _clear(parent, name)
    descriptor = os.open(name, NEW_FILE, 0o600, dir_fd=parent)
    with _whole(parent, name), os.fdopen(descriptor, "wb") as file:
        while block := content.read(BLOCK_BYTES):
            if block.strip(b"\0"):
                file.write(block)
            else:
                file.seek(len(block), os.SEEK_CUR)  # a hole: what was sparse there stays sparse here
        file.truncate()
        os.fchmod(descriptor, member.mode & 0o755 | 0o600)
        moment = min(max(0, int(member.mtime)), LATEST)
        os.utime(descriptor, (moment, moment))


@contextmanager
def _whole(parent: int, name: str) -> Iterator[None]:
    """Leave no half-written file behind."""
    try:
        yield
    except BaseException:
        os.unlink(name, dir_fd=parent)
        raise


def _link(base: int, target: tuple[str, ...], parent: int, name: str) -> None:
    """A hard link to something already written below `base`."""
    if not target:
        raise GuestFailed("the guest sent a link to nothing")
    with _directory(base, target[:-1], make=False) as directory:
        _clear(parent, name)
        os.link(target[-1], name, src_dir_fd=directory, dst_dir_fd=parent, follow_symlinks=False)


def stays_inside(target: str, depth: int) -> bool:
    """May a symlink `depth` directories below the root point there?

    Relative, with `..` only in front and no more of them than there are real directories above: then, link by
    link, whatever it resolves to is below the root.
    """
    parts = [part for part in target.split("/") if part not in ("", ".")]
    ups = parts.count("..")
    return not target.startswith("/") and ups <= depth and parts[:ups] == [".."] * ups


def _parts(name: str) -> tuple[str, ...]:
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts or "\0" in name or len(name) > LONGEST_PATH:
        raise GuestFailed("the guest sent a path that leads out of the copy: nothing more was written")
    return parts


@contextmanager
def _directory(base: int, parts: tuple[str, ...], make: bool = True) -> Iterator[int]:
    """A descriptor of the directory `parts` below `base`, made where missing, following no link."""
    descriptor = os.dup(base)
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


def _clear(parent: int, name: str) -> None:
    """Remove a file or link that stands where one is to be written."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return
    except IsADirectoryError as error:
        raise Conflict(f"{name} is a directory here and a file in the guest: remove one") from error


def _local_error(error: OSError, root: Path) -> VertuiError:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return Conflict(f"a link or file stands in {root} where the guest has a directory: remove it")
    return disk_error(error, root)
