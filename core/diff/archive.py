"""A tree of a disk as a tar stream: owners, modes, times, links, devices and, in pax headers, attributes.

Nothing is sent before all names and sizes are known, so that a disk that lies is refused and not half sent.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from core.diff.compare import Loaded
from core.diff.disk import Disk
from core.diff.filesystem import inode_at
from core.diff.index import PathBudget, PathIndex
from core.diff.meta import FileType, Meta
from core.errors import Unsupported

_MOST_TIMES_DISK = 4  # holes may make files seem larger than their disk, but not without end
_TYPES = {
    FileType.FILE: tarfile.REGTYPE,
    FileType.DIRECTORY: tarfile.DIRTYPE,
    FileType.SYMLINK: tarfile.SYMTYPE,
    FileType.CHARACTER_DEVICE: tarfile.CHRTYPE,
    FileType.BLOCK_DEVICE: tarfile.BLKTYPE,
    FileType.FIFO: tarfile.FIFOTYPE,
}
_END = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True)
class Archive:
    """What is to be sent: `paths` to inodes, parents first."""

    disk: Disk
    paths: dict[bytes, int]
    loaded: Loaded
    top: bytes
    attributes: bool

    def __iter__(self) -> Iterator[bytes]:
        """The stream, in pieces of at most about 1 MiB."""
        sent: dict[int, bytes] = {}
        for path, inode in self.paths.items():
            meta = self.loaded.metas[inode]
            if meta.type is FileType.SOCKET:  # as tar does: a socket is nothing without its server
                continue
            name = self._name(path)
            yield self._header(name, meta, sent.get(inode))
            if meta.type is FileType.FILE and inode not in sent:
                yield from self.loaded.content(meta).pieces()
                yield bytes(-meta.size % tarfile.BLOCKSIZE)
            if meta.type is not FileType.DIRECTORY:
                sent.setdefault(inode, name)
        yield _END

    def _name(self, path: bytes) -> bytes:
        if path == self.top and self.loaded.metas[self.paths[path]].type is not FileType.DIRECTORY:
            return path.rpartition(b"/")[2]
        return b"./" + path[len(self.top) :].lstrip(b"/")

    def _header(self, name: bytes, meta: Meta, linked: bytes | None) -> bytes:
        member = tarfile.TarInfo(_text(name))
        member.type = _TYPES[meta.type] if linked is None else tarfile.LNKTYPE
        member.linkname = _text(meta.target or b"" if linked is None else linked)
        member.size = meta.size if member.isreg() else 0
        member.mode, member.uid, member.gid = meta.mode, meta.uid, meta.gid
        member.mtime = meta.mtime_ns // 1_000_000_000
        member.devmajor, member.devminor = meta.device or (0, 0)
        if self.attributes and meta.xattrs and linked is None:
            member.pax_headers = {f"SCHILY.xattr.{_text(key)}": _text(value) for key, value in meta.xattrs}
            return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def archive(disk: Disk, path: bytes, index: PathIndex, *, attributes: bool = True) -> Archive:
    """The file or tree at an absolute path of `disk`, whose index is `index`; a directory's contents stand under `.`.

    Raises NotFound; Unsupported for a tree that claims to be far larger than its disk.
    """
    top = b"/" + b"/".join(part for part in path.split(b"/") if part)
    paths: dict[bytes, int] = {}
    index.below(top, inode_at(index.volume, top), paths, PathBudget(disk.name))
    paths = dict(sorted(paths.items()))
    loaded = Loaded.of(index.volume, paths.values())
    size = sum(meta.size for meta in loaded.metas.values() if meta.type is FileType.FILE)
    if size > _MOST_TIMES_DISK * disk.size:
        raise Unsupported(f"disk {disk.name}: the files claim {size} bytes, far more than the disk holds")
    return Archive(disk, paths, loaded, top, attributes)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
