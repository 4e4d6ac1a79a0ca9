"""Which names lead to which inode, and which inode owns which block: computed once, then carried along.

A PathIndex of a base image costs a walk over all its directories and inodes. The index of a disk derived from
that image is the base's with the touched inodes laid over it, so it costs what changed.

Of a torn disk an index has only what is whole (`core.diff.torn`), and remembers which directories it has not wholly: on
another disk these may have more, though nothing of theirs is unlike.

Invariant: an index knows every inode reachable from the root of its disk. Holding it while advancing: an inode
that becomes reachable does so through a changed directory, which is read again, and what it names that was
unknown is read too.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from core.diff.directories import Names, read_names
from core.diff.ext4 import Inodes, Volume, merge_numbers
from core.diff.inodes import ROOT_INODE
from core.diff.torn import sound, whole_names
from core.disk.blocks import Blocks, Disk
from core.errors import Damaged, Unsupported
from core.progress import Told, nobody

Link = tuple[int, bytes]
"""One name of an inode: the directory it is in, and what it is called there."""

_MAX_NAMES = 2_000_000  # some 500 MB of Python objects; real roots have a tenth of it at most
_MAX_PATH_BYTES = 16384  # four times what a program can pass to open(2)
_AT_ONCE = 1 << 16  # inodes: a quarter of a second
_EMPTY = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Owned:
    """Runs of filesystem blocks and the inodes they belong to: data, extent trees, attributes."""

    inode: Blocks
    start: Blocks
    length: Blocks

    @classmethod
    def of(cls, inodes: Inodes) -> Self:
        """Everything these inodes own."""
        extents, attributes = inodes.extents, inodes.attribute_blocks
        has = attributes != 0
        ones = np.ones(len(extents.node_inode) + int(has.sum()), dtype=np.int64)
        return cls(
            np.concatenate([extents.inode, extents.node_inode, inodes.numbers[has]]),
            np.concatenate([extents.physical, extents.node_block, attributes[has]]),
            np.concatenate([extents.length, ones]),
        )

    def joined(self, other: "Owned") -> "Owned":
        """Both together."""
        return Owned(
            *(np.concatenate([getattr(self, k), getattr(other, k)]) for k in ("inode", "start", "length"))
        )

    def without(self, inodes: Blocks) -> "Owned":
        """What none of `inodes` owns."""
        keep = ~np.isin(self.inode, inodes)
        return Owned(self.inode[keep], self.start[keep], self.length[keep])

    def touched_by(self, blocks: Blocks) -> Blocks:
        """Inodes that own any of `blocks` (ascending)."""
        first = np.searchsorted(blocks, self.start)
        end = np.searchsorted(blocks, self.start + self.length)
        return np.unique(self.inode[end > first])


_NOTHING = Owned(_EMPTY, _EMPTY, _EMPTY)


@dataclass(frozen=True, slots=True)
class _Layer:
    """What is known of some inodes: the names in those that are directories, and the names of any."""

    directories: Mapping[int, Names | None]
    """None: an inode that is not, or no longer, a directory, which hides what a lower layer says."""
    links: Mapping[int, list[Link]]
    owned: Owned

    @classmethod
    def of(cls, directories: Mapping[int, Names | None], owned: Owned) -> Self:
        links: dict[int, list[Link]] = {}
        for directory, names in directories.items():
            for name, inode in (names or {}).items():
                links.setdefault(inode, []).append((directory, name))
        return cls(directories, links, owned)


class PathIndex:
    """The names and owners on one disk, for `diff_disks`; opaque to everybody else.

    Make one of an image's base disk and keep it: it never changes. Its disk must stay open as long.
    """

    def __init__(self, disk: Disk, told: Told = nobody) -> None:
        """Walk the whole disk; `told` hears how many files were found."""
        self.volume = Volume(disk)
        self._hidden = _EMPTY
        self._upper = _Layer({}, {}, _NOTHING)
        self._thinned = set[int]()
        directories: dict[int, Names | None] = {}
        root = np.array([ROOT_INODE])
        owned = _read_reachable(self.volume, root, directories, set(), self._thinned, told)
        self._lower = _Layer.of(directories, owned)
        if directories.get(ROOT_INODE) is None:
            raise Damaged(f"disk {disk.name}: the root inode is not a directory")

    @property
    def disk(self) -> Disk:
        """The disk it describes."""
        return self.volume.disk

    def touched(self, volume: Volume, changed: Blocks) -> Blocks:
        """Every inode whose record or blocks differ on `volume`, a later or earlier state of the same filesystem;
        `changed`, ascending, are the filesystem blocks that differ. All others are the same on both. Where names lead
        to what is not whole on either, their directories are touched as well."""
        records = self.volume.changed_inodes(volume, changed)
        lower = np.setdiff1d(self._lower.owned.touched_by(changed), self._hidden, assume_unique=True)
        found = merge_numbers(records, lower, self._upper.owned.touched_by(changed), _numbers(self._thinned))
        if not volume.torn:
            return found
        torn = np.setdiff1d(found, sound(volume, found), assume_unique=True)
        return merge_numbers(
            found, _numbers({above for inode in torn.tolist() for above, _ in self.links(inode)})
        )

    def advanced(self, volume: Volume, touched: Blocks, told: Told = nobody) -> "PathIndex":
        """The index of `volume`, which differs from this one's in the inodes `touched` and no others; `told` hears how
        many files of it were read.
        """
        directories: dict[int, Names | None] = dict.fromkeys(touched.tolist())
        known, thinned = _Known(self, directories), set[int]()
        wanted = sound(volume, touched) if volume.torn else volume.living(touched)
        owned = _read_reachable(volume, wanted, directories, known, thinned, told)
        renewed = merge_numbers(touched, np.fromiter(directories, dtype=np.int64), np.unique(owned.inode))
        after = object.__new__(PathIndex)
        after.volume = volume
        after._thinned = thinned
        after._lower = self._lower
        after._hidden = merge_numbers(self._hidden, renewed)
        after._upper = _Layer.of(
            {**self._upper.directories, **directories}, self._upper.owned.without(renewed).joined(owned)
        )
        if after.names(ROOT_INODE) is None:
            raise Damaged(f"disk {volume.disk.name}: the root inode is not a directory")
        return after

    def names(self, inode: int) -> Names | None:
        """The entries of a directory; None when it is none, or unknown."""
        upper = self._upper.directories
        return upper[inode] if inode in upper else self._lower.directories.get(inode)

    def knows(self, inode: int) -> bool:
        """Whether the inode was ever read: if it changed since, it is touched and read again anyway."""
        return inode in self._lower.links or inode in self._upper.links or self.names(inode) is not None

    def links(self, inode: int) -> list[Link]:
        """All names of an inode."""
        upper = self._upper.directories
        below = [link for link in self._lower.links.get(inode, ()) if link[0] not in upper]
        return below + self._upper.links.get(inode, [])

    def directory_path(self, inode: int) -> bytes | None:
        """The path of a directory, with a slash at its end; None when no path leads to it."""
        parts: list[bytes] = []
        length = 0
        while inode != ROOT_INODE:
            links = self.links(inode)
            if len(links) > 1:
                raise Damaged(f"disk {self.disk.name}: directory inode {inode} has two names")
            if not links or self.names(inode) is None:
                return None
            inode, name = links[0]
            parts.append(name)
            length += len(name) + 1
            if length > _MAX_PATH_BYTES:  # also ends a climb around a loop
                raise Unsupported(f"disk {self.disk.name}: a path is longer than {_MAX_PATH_BYTES} bytes")
        return b"".join(b"/" + part for part in reversed(parts)) + b"/"

    def paths(self, inode: int) -> list[bytes]:
        """All paths of an inode."""
        if inode == ROOT_INODE:
            return [b"/"]
        above = ((self.directory_path(directory), name) for directory, name in self.links(inode))
        return [directory + name for directory, name in above if directory is not None]

    def below(self, path: bytes, inode: int, found: dict[bytes, int], budget: "PathBudget") -> None:
        """Add `path`, which leads to `inode`, and all paths below it to `found`."""
        waiting, expanded = [(path, inode)], set()
        while waiting:
            path, inode = waiting.pop()
            budget.spend(path)
            found[path] = inode
            names = self.names(inode)
            if names and inode in expanded:
                raise Damaged(f"disk {self.disk.name}: directory inode {inode} has two names")
            expanded.add(inode)
            prefix = path if path == b"/" else path + b"/"
            waiting.extend((prefix + name, child) for name, child in (names or {}).items())


@dataclass(slots=True)
class PathBudget:
    """Bounds what listing paths may take: a hostile tree can name far more than it stores."""

    disk: str
    left_bytes: int = 256 << 20

    def spend(self, path: bytes) -> None:
        """Count one path in; Unsupported when it is too long or they are too many."""
        self.left_bytes -= len(path) + 100
        if self.left_bytes < 0 or len(path) > _MAX_PATH_BYTES:
            raise Unsupported(f"disk {self.disk}: paths are too long or too many to be listed")


class _Known:
    """Membership test: inodes the index described has, or that were read since."""

    def __init__(self, index: PathIndex, read: Mapping[int, Names | None]) -> None:
        self._index = index
        self._read = read

    def __contains__(self, inode: object) -> bool:
        return isinstance(inode, int) and (inode in self._read or self._index.knows(inode))


def _numbers(numbers: Collection[int]) -> Blocks:
    return np.array(sorted(numbers), dtype=np.int64)


def _read_reachable(
    volume: Volume,
    wanted: Blocks,
    directories: dict[int, Names | None],
    known: "_Known | set[int]",
    thinned: set[int],
    told: Told,
) -> Owned:
    """Read the inodes `wanted` and, level by level, those their directories name that are not `known`;
    their entries go to `directories`, and what they own comes back. Directories of a torn disk that lack entries go to
    `thinned`."""
    owned = _NOTHING
    seen: set[int] = set(wanted.tolist())
    count = read = 0
    while len(wanted):
        named = set[int]()
        for at in range(0, len(wanted), _AT_ONCE):
            inodes = volume.inodes(wanted[at : at + _AT_ONCE])
            owned = owned.joined(Owned.of(inodes))
            names = read_names(volume, inodes)
            if volume.torn:
                names, lacking = whole_names(volume, names)
                thinned |= lacking
            directories.update(names)
            count += sum(map(len, names.values()))
            if count > _MAX_NAMES:
                raise Unsupported(f"disk {volume.disk.name}: it has more than {_MAX_NAMES} names")
            named.update(child for entries in names.values() for child in entries.values())
            read += len(inodes.numbers)
            told(read, 0)
        fresh = {child for child in named - seen if child not in known}
        seen |= fresh
        wanted = np.array(sorted(fresh), dtype=np.int64)
    return owned
