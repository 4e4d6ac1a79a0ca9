"""The store as the engine sees it: `PageStore`, and what a person asks of it."""

import contextlib
import math
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import numpy as np

from core.errors import Damaged
from core.files import Files, listed, os_files
from core.progress import Told, nobody
from core.store import check as checking
from core.store import transfer, usage
from core.store.collect import Marked, delete, mark, sweep
from core.store.compact import compact, forget_image, gather, would_free
from core.store.hashing import Contents, Hashes
from core.store.identify import identify
from core.store.index_file import write_index
from core.store.layout import look
from core.store.owner import Owner
from core.store.pack import Rows
from core.store.pack_writer import FRAME_PAGES, LEVEL
from core.store.record import record_name
from core.store.seal import put
from core.store.table_disk import TableDisk
from core.store.usage import CommitGroup
from core.store.values import MEMORY, NO_LABEL, Captured, Identified, Label, Manifest


class PackStore:
    """`PageStore` over content-addressed packs. One a home may write; any number of `PageReader`s may read beside it.

    Threads may share it. Methods block, and raise Damaged, NoRoom or NotFound.
    """

    def __init__(
        self, home: Path, files: Files = os_files, *, frame_pages: int = FRAME_PAGES, level: int = LEVEL
    ) -> None:
        self._owner = Owner(home, files, frame_pages=frame_pages, level=level)
        self.reader = self._owner.reader

    @property
    def made_again(self) -> str:
        """Why the index was made again from the packs when the store opened; "" when it was not."""
        return self._owner.made_again

    def close(self) -> None:
        """Let go of every file; nothing needs to be written."""
        self._owner.close()

    def layer_path(self, layer: str) -> Path:
        """Where a disk layer lies, also one that a machine still writes."""
        return self._owner.layout.layers / f"{layer}.qcow2"

    # -- commits ---------------------------------------------------------------------------------------------

    def identify(self, captured: Captured, parents: tuple[str, ...]) -> Identified:
        """The ids a state has as a child of `parents`: two captures of one state have one state id."""
        return identify(self._owner, captured, parents)

    def put(
        self, captured: Captured, identified: Identified, label: Label = NO_LABEL
    ) -> tuple[Manifest, int]:
        """Store a state durably; its manifest, and the bytes added. On failure nothing is left."""
        return put(self._owner, captured, identified, label)

    def commits(self) -> list[str]:
        """Every commit on disk: what a catalog can be made of again, by their manifests."""
        return self.reader.commits()

    def manifest(self, commit: str) -> Manifest:
        """The manifest of a stored commit."""
        return self.reader.manifest(commit)

    def memory_hashes(self, commit: str) -> Hashes:
        """The hash of every page of a commit's memory."""
        hashes, known = self._owner.index.hashes(self.reader.table(commit, MEMORY))
        if not known.all():
            raise Damaged(
                f"page {int(np.flatnonzero(~known)[0])} of the memory of commit {commit[:12]} is not there"
            )
        return hashes

    def memory(self, commit: str, places: Rows) -> Contents:
        """Pages of a commit's memory, shape (n, 4096), verified."""
        return self.reader.pages(commit, MEMORY, places, self.reader.table(commit, MEMORY)[places])

    def devices(self, commit: str) -> bytes:
        """The device state, verified. Damaged also when a page table of the commit cannot be read."""
        self.reader.verify(commit)
        return self.reader.record(commit).devices()

    def disk(self, commit: str, layers: Sequence[Path] = ()) -> TableDisk:
        """The disk, read from the store, under layers that a machine wrote. Keep the commit `pinned` if it may go."""
        return TableDisk(self.reader, commit, layers)

    @contextmanager
    def pinned(self, commit: str) -> Iterator[None]:
        """Keep a commit's pages from gc while the body reads them."""
        with self._owner.pinned(commit):
            yield

    def size_bytes(self, commit: str) -> int:
        """What the commit's own file takes on disk; pages are shared (see `du`)."""
        with contextlib.suppress(OSError):
            return (self._owner.layout.commits / record_name(commit)).stat().st_size
        return 0

    def delete(self, commit: str) -> None:
        """Remove a commit; idempotent. Its pages go by `gc`, layers by `collect`."""
        delete(self._owner, commit)

    def release(self, commit: str) -> None:
        """Let `gc` remove a commit that this process sealed, once nobody keeps it."""
        self._owner.born.discard(commit)

    # -- keeping it ------------------------------------------------------------------------------------------

    def collect(self, keep: frozenset[str]) -> int:
        """Remove every layer not in `keep`; bytes freed."""
        free = {layer: size for layer, size in self.layers().items() if layer not in keep}
        for layer in free:
            self._owner.files.unlink(self.layer_path(layer))
        return sum(free.values())

    def layers(self) -> dict[str, int]:
        """Bytes that each disk layer takes, by its id."""
        found = {}
        for path in listed(self._owner.layout.layers, "*.qcow2"):
            with contextlib.suppress(FileNotFoundError):  # machines end meanwhile
                found[path.stem] = path.stat().st_blocks * 512
        return found

    def mark(self, keep: Iterable[str]) -> Marked:
        """What gc would remove if only these commits, and those sealed since the store opened, are kept."""
        return mark(self._owner, frozenset(keep))

    def would_free(self, marked: Marked, room_bytes: float = math.inf) -> int:
        """About how many bytes `compact` would free after a gc of that."""
        return would_free(self._owner, marked.live, room_bytes)

    def sweep(self, marked: Marked) -> int:
        """Remove what was marked and nothing has come to need; bytes freed."""
        return sweep(self._owner, marked)

    def gc(self, keep: Iterable[str], told: Told = nobody) -> int:
        """Remove leftover commits not in `keep`, and every page no commit names; bytes freed."""
        return sweep(self._owner, mark(self._owner, frozenset(keep), told), told)

    def compact(self, told: Told = nobody, room_bytes: float = math.inf) -> int:
        """Rewrite packs with little live data, and many small ones as one; bytes freed. So many may be written."""
        return compact(self._owner, told, room_bytes)

    def gather(self, lists: Mapping[str, Rows]) -> None:
        """Store the pages at these places of commits' memories side by side, grouped by which commits name them, so
        that little else is read with those of one commit.
        """
        gather(self._owner, lists)

    def forget_image(self, image: str, told: Told = nobody) -> None:
        """Make the store independent of an image's files: call it before they go."""
        forget_image(self._owner, image, told)

    def check(self, read_data_percent: float = 0.0, told: Told = nobody) -> list[checking.Problem]:
        """Everything that is not as it was written; pages are read as far as asked."""
        return checking.check(self._owner, read_data_percent, told)

    def rebuild(self, told: Told = nobody) -> None:
        """Make the index again from the packs."""
        with self._owner.sealing:
            found = look(self._owner.layout, anew=True, told=told)
            self._owner.set_index(write_index(self._owner.files, self._owner.layout.index, found.index))
            self._owner.problems = found.problems

    def du(self, groups: Mapping[str, CommitGroup] = MappingProxyType({})) -> usage.Usage:
        """What every commit and group of commits takes, and what pruning it would free."""
        return usage.usage(self._owner, groups)

    def tune(self, *, level: int, frame_pages: int) -> None:
        """Compress what is written from now on like this."""
        self._owner.level, self._owner.frame_pages = level, frame_pages

    # -- moving commits --------------------------------------------------------------------------------------

    def export(self, commit: str, target: Path) -> int:
        """Write a commit to one self-contained file; its size."""
        with self.pinned(commit):
            return transfer.export(self._owner, commit, target)

    def import_(self, source: Path) -> tuple[Manifest, int]:
        """Store a commit from such a file, every page verified, marked foreign; its manifest and the bytes added."""
        return transfer.import_(self._owner, source)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A place for a file on its way in or out; it is gone afterwards, also when a crash ends the body."""
        path = self._owner.layout.root / f".{uuid.uuid4().hex}.tmp"
        try:
            yield path
        finally:
            self._owner.files.unlink(path)

    def append(self, path: Path, data: bytes) -> None:
        """Add to a file in `staging`."""
        self._owner.files.append(path, data)
