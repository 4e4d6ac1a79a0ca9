"""Where the store's files lie in a home, and what is found there when it opens."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import Damaged
from core.files import listed
from core.progress import Told, nobody
from core.store.index import Index, merged, run_of
from core.store.index_file import NONE, IndexFile, read_index
from core.store.pack import Directory, Pack

ID_JUMP, PACK_JUMP = 1 << 32, 1 << 12
"""An index that is lost takes the next numbers with it: go on far above all that can have been used."""

PackSource = tuple[str, str]


@dataclass(frozen=True)
class Layout:
    """The paths of a home's store."""

    home: Path

    @property
    def root(self) -> Path:
        """The index, and the packs' directory."""
        return self.home / "store"

    @property
    def packs(self) -> Path:
        """Packs: NUMBER.pack, external ones NUMBER.IMAGE.FILE.pack."""
        return self.root / "packs"

    @property
    def index(self) -> Path:
        """The index's file."""
        return self.root / "index"

    @property
    def commits(self) -> Path:
        """One record per commit."""
        return self.home / "commits"

    @property
    def layers(self) -> Path:
        """The qcow2 layers machines write."""
        return self.home / "layers"

    @property
    def images(self) -> Path:
        """One directory per image."""
        return self.home / "images"

    def pack(self, number: int, source: PackSource | None = None) -> Path:
        """Where a new pack goes."""
        middle = f".{source[0]}.{source[1]}" if source else ""
        return self.packs / f"{number:08}{middle}.pack"

    def list_packs(self) -> dict[int, Path]:
        """Every pack there is, by number."""
        paths = [path for path in listed(self.packs, "*.pack") if not path.name.startswith(".")]
        return {int(path.name.partition(".")[0]): path for path in paths}


def source_of(path: Path) -> PackSource | None:
    """Image and file an external pack refers to."""
    image, _, file = path.name.partition(".")[2].removesuffix("pack").removesuffix(".").partition(".")
    return (image, file) if image else None


@dataclass(frozen=True)
class Found:
    """What is found: the index, with every pack newer than its file; the packs by number; dead ones; problems; and why
    the index was made again from the packs, "" if it was not.

    A newer pack that cannot be read is neither among `packs` nor among `dead`. A crash left it unfinished, or commits
    will miss its pages. gc takes it once no page is missing.
    """

    index: Index
    packs: Mapping[int, Path]
    dead: tuple[Path, ...]
    problems: tuple[str, ...]
    lost: str
    file: IndexFile | None
    newer: Mapping[int, Directory]

    @property
    def stamp(self) -> tuple[int, int, int] | None:
        """Which index file this is of; None when it could not be read."""
        return self.file.stamp if self.file else None


def look(layout: Layout, before: Found | None = None, *, anew: bool = False, told: Told = nobody) -> Found:
    """Read the index and what is newer. With `anew`, or when the index is lost, everything is read from the packs, and
    `told` hears how many of these were.

    What was found `before` and is still the same is not read again: neither the index nor a pack ever changes in place.
    """
    index, file, lost = NONE, None, ""
    if not anew:
        try:
            file = read_index(layout.index, before.file if before else None)
            index = file.index
        except Damaged as error:
            lost = f"{error}: it was made again from the packs"
    paths = layout.list_packs()
    if paths and index is NONE:
        lost = lost or "the index was gone: it was made again from the packs"
    dead = {n for n in paths if n < index.next_pack and n not in index.packs}
    index, missing = _without_missing(index, paths)
    problems = tuple(f"pack {number:08} is missing" for number in missing)
    known = before.newer if before else {}
    fresh, newer = [n for n in paths if n >= index.next_pack], dict[int, Directory]()
    for done, n in enumerate(fresh, 1):
        if found := known.get(n) or _directory(paths[n], n):
            newer[n] = found
        told(done, len(fresh))
    index = with_packs(index, newer, max(paths, default=0))
    if lost:
        index = replace(index, next_id=index.next_id + ID_JUMP, next_pack=index.next_pack + PACK_JUMP)
    mine = {number: path for number, path in paths.items() if number in index.packs}
    return Found(index, mine, tuple(paths[n] for n in dead), problems, lost, file, newer)


def with_packs(index: Index, packs: Mapping[int, Directory], newest: int = 0) -> Index:
    """The index with these packs added to its small run."""
    small = merged((index.small, run_of(packs))) if packs else index.small
    next_id = max([index.next_id, *(int(found.ids.max()) + 1 for found in packs.values() if len(found.ids))])
    next_pack = max([index.next_pack, newest + 1, *(number + 1 for number in packs)])
    return replace(index, small=small, next_id=next_id, next_pack=next_pack, packs=index.packs | set(packs))


def _without_missing(index: Index, paths: Mapping[int, Path]) -> tuple[Index, list[int]]:
    """The index without pages whose pack is gone: they are stored again when they come again."""
    missing = sorted(index.packs - set(paths))
    if missing:
        index = replace(index, large=index.large.without_packs(missing), packs=index.packs - set(missing))
    return index, missing


def _directory(path: Path, number: int) -> Directory | None:
    """What a pack holds; None for one not finished, or damaged: pages a commit misses are noticed there."""
    try:
        pack = Pack(path, number)
        try:
            return pack.directory
        finally:
            pack.close()
    except Damaged:
        return None
