"""`PageStore` in memory: of each commit the whole content. Ids are the real store's, for they are hashes of content."""

import math
import pickle
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import cast

import numpy as np

from core.disk.qcow2 import OverlayStack
from core.errors import Damaged, NotFound
from core.files import listed
from core.model import PAGE_BYTES
from core.progress import Told, nobody
from core.store.check import Problem
from core.store.collect import Marked
from core.store.hashing import (
    CHUNK_PAGES,
    HASH_BYTES,
    ZERO_HASH,
    Contents,
    Hashes,
    chunk_hashes,
    page_hashes,
    root_hash,
)
from core.store.identify import commit_id, state_id
from core.store.image_pages import ROOT
from core.store.pack import Ids, Rows
from core.store.reader import PageReader
from core.store.table_disk import TableDisk
from core.store.usage import CommitGroup, CommitUsage, Usage
from core.store.values import NO_LABEL, Captured, Changes, Identified, Label, Manifest

FORMAT = 1
NOTHING = CommitUsage(0, 0, 0, 0)


@dataclass(frozen=True)
class Kept:
    """A commit: its manifest, memory and disk as shape (n, 4096), and devices."""

    manifest: Manifest
    memory: Contents
    disk: Contents
    devices: bytes

    @property
    def size_bytes(self) -> int:
        """What its contents take."""
        return self.memory.nbytes + self.disk.nbytes + len(self.devices)


class TwinStore:
    """Commits of a home, whose layers and images are files."""

    def __init__(self, home: Path, kept: Mapping[str, Kept] = MappingProxyType({})) -> None:
        self._home = home
        self._kept = dict(kept)
        self._born: set[str] = set()
        self._pins: Counter[str] = Counter()
        self._leaving: dict[str, Kept] = {}
        self.gathered: dict[str, list[int]] = {}

    @property
    def made_again(self) -> str:
        """It has no index that could be lost."""
        return ""

    def close(self) -> None:
        """Nothing is open."""

    @property
    def kept(self) -> Mapping[str, Kept]:
        """What another store of the same home begins with."""
        return MappingProxyType(self._kept)

    def layer_path(self, layer: str) -> Path:
        """As the real one's."""
        return self._home / "layers" / f"{layer}.qcow2"

    # -- commits ---------------------------------------------------------------------------------------------

    def identify(self, captured: Captured, parents: tuple[str, ...]) -> Identified:
        """By all of its content."""
        memory, disk = self._contents(captured)
        below = self._below(captured)[0]
        rows = np.flatnonzero((below[captured.pages] != captured.table).any(axis=1))
        changes = [
            Changes(np.empty(0, np.uint64), _no_hashes(), _root(content)) for content in (memory, disk)
        ]
        state = state_id(captured.spec, captured.devices, changes[0].root, changes[1].root)
        return Identified(commit_id(state, parents), state, parents, rows, *changes)

    def put(
        self, captured: Captured, identified: Identified, label: Label = NO_LABEL
    ) -> tuple[Manifest, int]:
        """Keep it; one that is there stays as it is."""
        if identified.id in self._kept:
            return self._kept[identified.id].manifest, 0
        memory, disk = self._contents(captured)
        made = Manifest(
            FORMAT, identified.id, identified.state_id, identified.parents, captured.image, captured.base,
            captured.spec, len(identified.rows), captured.quiesced, identified.memory.root, identified.disk.root,
            label,
        )  # fmt: skip
        kept = self._kept[made.id] = Kept(made, memory, disk, captured.devices)
        self._born.add(made.id)
        return made, kept.size_bytes

    def commits(self) -> list[str]:
        """All."""
        return sorted(self._kept)

    def manifest(self, commit: str) -> Manifest:
        """As it was put."""
        return self._find(commit).manifest

    def memory_hashes(self, commit: str) -> Hashes:
        """Made now."""
        return page_hashes(self._find(commit).memory).copy()

    def memory(self, commit: str, places: Rows) -> Contents:
        """Some pages."""
        return self._find(commit).memory[places]

    def devices(self, commit: str) -> bytes:
        """As they were put."""
        return self._find(commit).devices

    def disk(self, commit: str, layers: Sequence[Path] = ()) -> TableDisk:
        """The real thing, which reads here what it would read of packs."""
        return TableDisk(cast(PageReader, self), commit, layers)

    def table(self, commit: str, medium: str) -> Ids:
        """What `TableDisk` asks a reader: numbers, equal exactly when contents are."""
        heads = [hash(page.tobytes()) for page in self._find(commit).disk]
        return np.array(heads, np.int64).view(np.uint64)

    def pages(self, commit: str, medium: str, places: Rows, ids: Ids) -> Contents:
        """The other thing that it asks."""
        return self._find(commit).disk[places]

    @contextmanager
    def pinned(self, commit: str) -> Iterator[None]:
        """What is pinned is found even if it has gone."""
        self._find(commit)
        self._pins[commit] += 1
        try:
            yield
        finally:
            self._pins[commit] -= 1
            if not self._pins[commit]:
                self._leaving.pop(commit, None)

    def size_bytes(self, commit: str) -> int:
        """Nothing for one that is not there."""
        return self._kept[commit].size_bytes if commit in self._kept else 0

    def delete(self, commit: str) -> None:
        """Forget it; whoever reads it goes on."""
        gone = self._kept.pop(commit, None)
        self._born.discard(commit)
        if gone is not None and self._pins[commit]:
            self._leaving[commit] = gone

    def release(self, commit: str) -> None:
        """As if an earlier process had put it."""
        self._born.discard(commit)

    # -- keeping it ------------------------------------------------------------------------------------------

    def collect(self, keep: frozenset[str]) -> int:
        """Files go."""
        free = {layer: size for layer, size in self.layers().items() if layer not in keep}
        for layer in free:
            self.layer_path(layer).unlink()
        return sum(free.values())

    def layers(self) -> dict[str, int]:
        """By the files there are."""
        return {p.stem: p.stat().st_blocks * 512 for p in listed(self._home / "layers", "*.qcow2")}

    def mark(self, keep: Iterable[str]) -> Marked:
        """Leftovers of an earlier process."""
        leftover = tuple(sorted(self._kept.keys() - set(keep) - self._born))
        frees = sum(self._kept[commit].size_bytes for commit in leftover)
        return Marked(leftover, np.empty(0, np.uint64), frozenset(self._kept), frees)

    def gc(self, keep: Iterable[str], told: Told = nobody) -> int:
        """They go."""
        told(1, 2)
        marked = self.mark(keep)
        for commit in marked.leftover:
            self.delete(commit)
        return marked.frees_bytes

    def would_free(self, marked: Marked, room_bytes: float = math.inf) -> int:
        """There are no packs."""
        return 0

    def compact(self, told: Told = nobody, room_bytes: float = math.inf) -> int:
        """There are no packs."""
        told(1, 1)
        return 0

    def gather(self, lists: Mapping[str, Rows]) -> None:
        """Everything lies side by side; what was asked for is in `gathered`."""
        self.gathered = {commit: places.tolist() for commit, places in lists.items()}

    def forget_image(self, image: str, told: Told = nobody) -> None:
        """Nothing leans on its files."""
        told(1, 2)

    def check(self, read_data_percent: float = 0.0, told: Told = nobody) -> list[Problem]:
        """Memory is not damaged."""
        told(1, 1)
        return []

    def rebuild(self, told: Told = nobody) -> None:
        """There is no index."""
        told(1, 2)

    def du(self, groups: Mapping[str, CommitGroup] = MappingProxyType({})) -> Usage:
        """Nothing is shared."""
        sizes = {
            commit: CommitUsage(k.size_bytes, k.size_bytes, 0, k.size_bytes)
            for commit, k in self._kept.items()
        }
        return Usage(sizes, dict.fromkeys(groups, NOTHING), 0, 0, 0, 1.0, 1.0)

    def tune(self, *, level: int, frame_pages: int) -> None:
        """Nothing is compressed."""

    # -- moving commits --------------------------------------------------------------------------------------

    def export(self, commit: str, target: Path) -> int:
        """Not as a real one does: only a twin reads it."""
        return target.write_bytes(pickle.dumps(self._find(commit)))

    def import_(self, source: Path) -> tuple[Manifest, int]:
        """From a twin."""
        try:
            found: Kept = pickle.loads(source.read_bytes())
        except (EOFError, pickle.UnpicklingError) as error:
            raise Damaged(f"{source.name} is no exported commit") from error
        added = 0 if found.manifest.id in self._kept else found.size_bytes
        foreign = replace(found, manifest=replace(found.manifest, foreign=True))
        return self._kept.setdefault(found.manifest.id, foreign).manifest, added

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Among the commits that there are no files of."""
        path = self._home / f".{uuid.uuid4().hex}.tmp"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def append(self, path: Path, data: bytes) -> None:
        """To the file."""
        with path.open("ab") as file:
            file.write(data)

    # -- contents --------------------------------------------------------------------------------------------

    def _find(self, commit: str) -> Kept:
        found = self._kept.get(commit) or self._leaving.get(commit)
        if found is None:
            raise NotFound(f"commit {commit[:12]} is not in the store")
        return found

    def _below(self, captured: Captured) -> tuple[Contents, Contents]:
        """What a captured state lies on."""
        pages = captured.spec.memory_bytes // PAGE_BYTES
        memory = (
            self._find(captured.base).memory if captured.base else np.zeros((pages, PAGE_BYTES), np.uint8)
        )
        if captured.disk_base:
            return memory, self._find(captured.disk_base).disk
        root = (self._home / "images" / captured.image / ROOT).read_bytes()
        return memory, np.frombuffer(root, np.uint8).reshape(-1, PAGE_BYTES)

    def _contents(self, captured: Captured) -> tuple[Contents, Contents]:
        memory, disk = (below.copy() for below in self._below(captured))
        memory[captured.pages] = captured.table
        stack = OverlayStack([self.layer_path(layer) for layer in captured.layers], captured.spec.disk_bytes)
        try:
            written = stack.written_blocks()
            out = np.empty((len(written), PAGE_BYTES), np.uint8)
            stack.gather(written, out)
            disk[written] = out
        finally:
            stack.close()
        return memory, disk


def _root(content: Contents) -> str:
    hashes = page_hashes(content)
    rest = np.broadcast_to(ZERO_HASH, (-len(hashes) % CHUNK_PAGES, HASH_BYTES))
    return root_hash(len(hashes), chunk_hashes(np.concatenate([hashes, rest])))


def _no_hashes() -> Hashes:
    return np.empty((0, HASH_BYTES), np.uint8)
