"""A tree of a disk as a tar stream: owners, modes, times, links, devices, holes and, in pax headers, attributes.

Nothing is sent before all names are known and read, so that a disk that lies is refused and not half sent. Holes stay
holes, so a stream is never larger than its disk: without attributes as `core.tar` has them, with them as GNU's sparse
format 1.0, which pax headers announce and GNU tar, bsdtar and Python read.
Pax headers also hold fractions of seconds, and attributes as GNU tar writes them.
"""

import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from core.diff.compare import Loaded
from core.diff.filesystem import inode_at
from core.diff.index import PathBudget, PathIndex
from core.diff.meta import FileType, Meta
from core.disk.blocks import Disk
from core.tar import END, Run, gnu_header, is_sparse, padding, pax_header

_TYPES = {
    FileType.FILE: tarfile.REGTYPE,
    FileType.DIRECTORY: tarfile.DIRTYPE,
    FileType.SYMLINK: tarfile.SYMTYPE,
    FileType.CHARACTER_DEVICE: tarfile.CHRTYPE,
    FileType.BLOCK_DEVICE: tarfile.BLKTYPE,
    FileType.FIFO: tarfile.FIFOTYPE,
}
_SECOND_NS = 1_000_000_000


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
            elif inode in sent:
                yield gnu_header(self._member(name, meta, sent[inode]))
            else:
                yield self._header(self._member(name, meta), meta)
            if meta.type is not FileType.DIRECTORY:
                sent.setdefault(inode, name)
        yield END

    def _file(self, name: bytes, meta: Meta) -> Iterator[bytes]:
        content, member = self.loaded.content(meta), self._member(name, meta)
        runs = content.runs()
        where = _map(runs, meta.size) if self.attributes and is_sparse(runs, meta.size) else b""
        if where:
            member.pax_headers = _sparse(member)
            # A name that needed a record of its own would be taken instead of the one in _sparse.
            member.name = f"GNUSparseFile.0/{meta.inode}"
            member.size = len(where) + sum(length for _, length in runs)
        yield self._header(member, meta, runs)
        yield where
        yield from content.data()
        yield padding(sum(length for _, length in runs))

    def _name(self, path: bytes) -> bytes:
        if path == self.top and self.loaded.metas[self.paths[path]].type is not FileType.DIRECTORY:
            return path.rpartition(b"/")[2]
        return b"./" + path[len(self.top) :].lstrip(b"/")

    def _member(self, name: bytes, meta: Meta, linked: bytes | None = None) -> tarfile.TarInfo:
        member = tarfile.TarInfo(_text(name))
        member.type = _TYPES[meta.type] if linked is None else tarfile.LNKTYPE
        member.linkname = _text(meta.target or b"" if linked is None else linked)
        member.size = meta.size if member.isreg() else 0
        member.mode, member.uid, member.gid = meta.mode, meta.uid, meta.gid
        member.mtime = meta.mtime_ns // _SECOND_NS
        member.devmajor, member.devminor = meta.device or (0, 0)
        return member

    def _header(self, member: tarfile.TarInfo, meta: Meta, runs: list[Run] | None = None) -> bytes:
        records = dict(_records(meta)) if self.attributes else {}
        return pax_header(member, records) if records or member.pax_headers else gnu_header(member, runs)


def _records(meta: Meta) -> Iterator[tuple[bytes, bytes]]:
    """What a plain header has no room for. In an attribute's name `=` and `%` are spelled as GNU tar spells them."""
    if meta.mtime_ns % _SECOND_NS:
        seconds, rest = divmod(abs(meta.mtime_ns), _SECOND_NS)
        yield b"mtime", b"%s%d.%09d" % (b"-" * (meta.mtime_ns < 0), seconds, rest)
    for name, value in meta.xattrs:
        yield b"SCHILY.xattr." + name.replace(b"%", b"%25").replace(b"=", b"%3D"), value


def _sparse(member: tarfile.TarInfo) -> Mapping[str, str]:
    return {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": member.name,
        "GNU.sparse.realsize": str(member.size),
    }


def _map(runs: list[Run], size: int) -> bytes:
    table = [*runs, (size, 0)]
    lines = b"%d\n" % len(table) + b"".join(b"%d\n%d\n" % run for run in table)
    return lines + padding(len(lines))


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
