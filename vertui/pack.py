"""A file or tree of this machine as a tar stream for a guest: owned by root, nothing but files, links, directories."""

import tarfile
from pathlib import Path
from typing import IO, Protocol, cast

from core.errors import NotFound, VertuiError
from vertui.unpack import BLOCK_BYTES, Unpacked

FILE_NAME = "file"  # what a single file is called on its way; the receiving side names it


class Writable(Protocol):
    """What a tar stream is written to."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`."""


def pack(source: Path, target: Writable) -> Unpacked:
    """Write `source` to `target`: a directory's contents under `.`, a file as FILE_NAME.

    Raises NotFound or VertuiError naming what cannot be read. Devices and sockets are skipped, and named.
    """
    result = Unpacked()

    def owned(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            result.skipped.append(member.name)
            return None
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        result.files += not member.isdir()
        result.size_bytes += member.size
        return member

    stream = cast(IO[bytes], target)  # tarfile calls nothing but write
    try:
        real = source.resolve(strict=True)
        with tarfile.open(
            fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT, bufsize=BLOCK_BYTES
        ) as archive:
            archive.add(real, arcname="." if real.is_dir() else FILE_NAME, filter=owned)
    except FileNotFoundError as error:
        raise NotFound(f"there is no {error.filename or source}") from error
    except OSError as error:
        raise VertuiError(f"cannot read {error.filename or source}: {error.strerror or error}") from error
    return result
