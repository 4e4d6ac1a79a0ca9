"""The writing side of a home's store: one a home (the daemon), with what it must remember between its verbs."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from cachetools import LRUCache

from core.errors import NotFound, VertuiError
from core.files import Files, listed
from core.store.hashing import Hashes, distinct
from core.store.image_pages import KERNEL, ROOT, ImageFile, image_directory
from core.store.index import Index
from core.store.index_file import write_index
from core.store.layout import Layout, PackSource, look, with_packs
from core.store.pack import Directory, Ids
from core.store.pack_writer import FRAME_PAGES, LEVEL, PackWriter, write_tail
from core.store.reader import PageReader
from core.store.record import record_name
from core.store.values import DISK, MEMORY

MERGE_ENTRIES = 1 << 16  # of the small run, or a quarter of the large one's: then it is merged into the file

KEPT_CHUNKS = 64  # chunk hashes of that many tables; 32 KiB each for a 4 GiB disk


class OwnReader(PageReader):
    """The owner's own view: it need not look at the disk to know what it wrote."""

    def refresh(self) -> None:
        """Read the disk once."""
        if not hasattr(self, "index"):
            super().refresh()


class Owner:
    """State shared by the store's verbs. `sealing` is held by whoever numbers pages, moves them or removes them."""

    def __init__(
        self, home: Path, files: Files, *, frame_pages: int = FRAME_PAGES, level: int = LEVEL
    ) -> None:
        self.layout, self.files = Layout(home), files
        self.frame_pages, self.level = frame_pages, level
        for path in (self.layout.root, self.layout.packs, self.layout.commits, self.layout.layers):
            files.mkdir(path)
        self.sealing = threading.RLock()
        self.keeping = threading.RLock()  # held by gc, compaction, check; taken before `sealing`
        self.pinning = threading.RLock()  # held while pins are counted; never for long: a fork waits for it
        self.born: set[str] = set()  # commits put by this process: their catalog rows may be yet to come
        self.leans: dict[str, frozenset[str]] = {}  # the commits each commit's tables lean on
        self.chunks: LRUCache[tuple[str, str], Hashes] = LRUCache(KEPT_CHUNKS)
        self._pins: dict[object, tuple[Ids, Ids]] = {}
        self._open()

    def _open(self) -> None:
        """Remove what a crash left half done, read the rest, and keep an index on disk from the first day on."""
        for directory in (self.layout.root, self.layout.packs, self.layout.commits):
            for leftover in listed(directory, ".*.tmp"):
                self.files.unlink(leftover)
        found = look(self.layout)
        for path in found.dead:
            self.files.unlink(path)
        self.reader = OwnReader(self.layout.home)
        self.problems, self.made_again = found.problems, found.lost
        if found.lost or not self.layout.index.exists():
            self.set_index(write_index(self.files, self.layout.index, self.index))

    def close(self) -> None:
        """Let go of every file."""
        self.reader.close()

    # -- the index -------------------------------------------------------------------------------------------

    @property
    def index(self) -> Index:
        """The index as of now."""
        return self.reader.index

    def set_index(self, index: Index) -> None:
        """Let every lookup from now on use this one."""
        self.reader.index = index
        paths = self.layout.list_packs()
        self.reader.shelf.set_paths({number: path for number, path in paths.items() if number in index.packs})

    def take_ids(self, count: int) -> Ids:
        """The next page ids. They are never given again, even if nothing comes of them."""
        first = self.index.next_id
        self.reader.index = replace(self.index, next_id=first + count)
        return np.arange(first, first + count, dtype=np.uint64)

    def take_pack(self) -> int:
        """The next pack number."""
        number = self.index.next_pack
        self.reader.index = replace(self.index, next_pack=number + 1)
        return number

    def register(self, packs: Mapping[int, Directory]) -> None:
        """Add the pages of durable packs to the index. When it is time the small run is merged into the file, or later
        if the disk is full.
        """
        index = with_packs(self.index, packs)
        self.set_index(index)
        if len(index.small.ids) > max(MERGE_ENTRIES, len(index.large.ids) // 4):
            with contextlib.suppress(VertuiError):
                self.set_index(write_index(self.files, self.layout.index, index))

    @contextmanager
    def new_pack(self, level: int | None = None) -> Iterator[tuple[int, PackWriter]]:
        """A pack to write, compressed as is usual or at `level`; it is removed when the body fails."""
        number = self.take_pack()
        path = self.layout.pack(number)
        try:
            yield number, PackWriter(self.files, path, self.frame_pages, level or self.level)
        except BaseException:
            with contextlib.suppress(VertuiError):
                self.files.unlink(path)
            raise

    # -- images ----------------------------------------------------------------------------------------------

    def know_image(self, image: str) -> None:
        """Give the pages of an image's root disk and kernel ids, and make those files durable; once an image."""
        with self.sealing:
            present = self.reader.shelf.sources()
            directory = image_directory(self.layout.images, image)
            for name in (ROOT, KERNEL):
                if (image, name) not in present and (directory / name).exists():
                    self._know_file((image, name), directory / name)

    def _know_file(self, source: PackSource, path: Path) -> None:
        file = ImageFile(self.layout.images, *source)
        places, hashes = file.scan()
        file.close()
        first, inverse = distinct(hashes)
        ids = self.index.find(hashes[first])
        ids[ids == 0] = self.take_ids(int((ids == 0).sum()))
        empty = np.empty(0, np.uint32)
        rows = ids[inverse]
        directory = Directory(
            rows, np.zeros(len(rows), np.uint64), 1, empty, hashes[:0], source, places, hashes
        )  # fmt: skip
        number = self.take_pack()
        target = self.layout.pack(number, source)
        try:
            self.files.fsync(path)
            write_tail(self.files, target, directory)
        except BaseException:
            with contextlib.suppress(VertuiError):
                self.files.unlink(target)
            raise
        self.register({number: directory})

    # -- pins ------------------------------------------------------------------------------------------------

    @contextmanager
    def pinned(self, commit: str) -> Iterator[None]:
        """Keep a commit's pages from gc while the body reads them, whatever becomes of it. NotFound without it."""
        key = object()
        with self.pinning:
            if not (self.layout.commits / record_name(commit)).exists():
                raise NotFound(f"commit {commit[:12]} is not in the store")
            self._pins[key] = (self.reader.table(commit, MEMORY), self.reader.table(commit, DISK))
        try:
            yield
        finally:
            del self._pins[
                key
            ]  # no lock: whoever counts pins looks at all at one instant, and one more costs nothing

    def pinned_ids(self) -> Ids:
        """Every id that somebody reads now."""
        return np.concatenate(
            [np.empty(0, np.uint64), *(table for pin in list(self._pins.values()) for table in pin)]
        )
