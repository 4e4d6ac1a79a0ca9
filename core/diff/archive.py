"""A tree of a disk as a tar stream: owners, modes, times, links, devices, holes and, in pax headers, attributes.

Nothing is sent before all names are known and read, so that a disk that lies is refused and not half sent. Holes stay
holes, so a stream is never larger than its disk: without attributes as `core.tar` has them, with them as GNU's sparse
format 1.0, which pax headers announce and GNU tar, bsdtar and Python read.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from core.diff.compare import Loaded
from core.diff.disk import Disk
from core.diff.filesystem import inode_at
from core.diff.index import PathBudget, PathIndex
from core.diff.meta import FileType, Meta
from core.tar import END, Run, gnu_header, is_sparse, padding

_TYPES = {
    FileType.FILE: tarfile.REGTYPE,
    FileType.DIRECTORY: tarfile.DIRTYPE,
    FileType.SYMLINK: tarfile.SYMTYPE,
    FileType.CHARACTER_DEVICE: tarfile.CHRTYPE,
    FileType.BLOCK_DEVICE: tarfile.BLKTYPE,
    FileType.FIFO: tarfile.FIFOTYPE,
}


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
            if meta.type is FileType.FILE and inode not in sent:
                yield from self._file(name, meta)
            else:
                yield self._header(self._member(name, meta, sent.get(inode)))
            if meta.type is not FileType.DIRECTORY:
                sent.setdefault(inode, name)
        yield END

    def _file(self, name: bytes, meta: Meta) -> Iterator[bytes]:
        content, member = self.loaded.content(meta), self._member(name, meta, None)
        runs = content.runs()
        where = _map(runs, meta.size) if self.attributes and is_sparse(runs, meta.size) else b""
        yield self._sparse_header(member, meta, runs, where) if where else self._header(member, runs)
        yield where
        yield from content.data()
        yield padding(sum(length for _, length in runs))

    def _name(self, path: bytes) -> bytes:
        if path == self.top and self.loaded.metas[self.paths[path]].type is not FileType.DIRECTORY:
            return path.rpartition(b"/")[2]
        return b"./" + path[len(self.top) :].lstrip(b"/")

    def _member(self, name: bytes, meta: Meta, linked: bytes | None) -> tarfile.TarInfo:
        member = tarfile.TarInfo(_text(name))
        member.type = _TYPES[meta.type] if linked is None else tarfile.LNKTYPE
        member.linkname = _text(meta.target or b"" if linked is None else linked)
        member.size = meta.size if member.isreg() else 0
        member.mode, member.uid, member.gid = meta.mode, meta.uid, meta.gid
        member.mtime = meta.mtime_ns // 1_000_000_000
        member.devmajor, member.devminor = meta.device or (0, 0)
        if self.attributes and linked is None:
            member.pax_headers = {f"SCHILY.xattr.{_text(key)}": _text(value) for key, value in meta.xattrs}
        return member

    @staticmethod
    def _header(member: tarfile.TarInfo, runs: list[Run] | None = None) -> bytes:
        return _pax(member) if member.pax_headers else gnu_header(member, runs)

    @staticmethod
    def _sparse_header(member: tarfile.TarInfo, meta: Meta, runs: list[Run], where: bytes) -> bytes:
        member.pax_headers = dict(member.pax_headers) | {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": member.name,
            "GNU.sparse.realsize": str(meta.size),
        }
        member.name = "GNUSparseFile.0/" + member.name.removeprefix("./")
        member.size = len(where) + sum(length for _, length in runs)
        return _pax(member)


def _map(runs: list[Run], size: int) -> bytes:
    table = [*runs, (size, 0)]
    lines = b"%d\n" % len(table) + b"".join(b"%d\n%d\n" % run for run in table)
    return lines + padding(len(lines))


def _pax(member: tarfile.TarInfo) -> bytes:
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def archive(disk: Disk, path: bytes, index: PathIndex, *, attributes: bool = True) -> Archive:
    """The file or tree at an absolute path of `disk`, whose index is `index`; a directory's contents stand under `.`.

    Raises NotFound. However large its files claim to be, what is sent is no more than their disk holds.
    """
    top = b"/" + b"/".join(part for part in path.split(b"/") if part)
    paths: dict[bytes, int] = {}
    index.below(top, inode_at(index.volume, top), paths, PathBudget(disk.name))
    paths = dict(sorted(paths.items()))
    return Archive(disk, paths, Loaded.of(index.volume, paths.values()), top, attributes)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
