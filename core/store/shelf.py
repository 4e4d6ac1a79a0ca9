"""Packs and image files held open, and pages read from them by location, verified."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from cachetools import LRUCache

from core.errors import Damaged, NoRoom
from core.model import PAGE_BYTES
from core.store.hashing import Contents
from core.store.image_pages import ImageFile
from core.store.layout import Layout, PackSource, source_of
from core.store.pack import Pack, Rows

CACHED_BYTES = 64 << 20  # of decompressed frames: neighbours are often asked for one page at a time
STRIPES = 16  # locks that let one thread read a frame while others that want the same wait for it
MOST_OPEN = 128  # packs; each commit makes one, and a process has 1,024 descriptors
THREADS = 2  # decompression gains little from more, and a view server shares its processors with guests


class Shelf:
    """Packs by number. Threads may share it; closed packs stay readable to whoever holds them."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._paths: dict[int, Path] = {}
        self._packs: LRUCache[int, Pack] = LRUCache(MOST_OPEN)
        self._images: dict[PackSource, ImageFile] = {}
        self._frames: LRUCache[tuple[int, int], Contents] = LRUCache(CACHED_BYTES, lambda frame: frame.nbytes)
        self._lock = threading.Lock()
        self._reading = [threading.Lock() for _ in range(STRIPES)]
        self._pool = ThreadPoolExecutor(THREADS, "frames")

    def set_paths(self, paths: Mapping[int, Path]) -> None:
        """Know these packs, and forget all others."""
        with self._lock:
            self._paths = dict(paths)
            for number in self._packs.keys() - paths.keys():
                del self._packs[number]
            for key in [key for key in self._frames if key[0] not in paths]:
                del self._frames[key]

    def close(self) -> None:
        """Let go of everything."""
        self.set_paths({})
        self._images.clear()
        self._pool.shutdown()

    def paths(self) -> dict[int, Path]:
        """Every known pack."""
        return dict(self._paths)

    def sources(self) -> dict[PackSource, int]:
        """The external packs: image and file to pack number."""
        return {source: number for number, path in self._paths.items() if (source := source_of(path))}

    def pack(self, number: int) -> Pack:
        """A pack, opened when needed. Of many the one that was not used for longest is let go of, and closed when
        nobody reads it.
        """
        with self._lock:
            if number not in self._packs:
                if number not in self._paths:
                    raise Damaged(f"pack {number:08} is not there")
                self._packs[number] = self._opened(number)
            return self._packs[number]

    def _opened(self, number: int) -> Pack:
        """A known pack, opened. When descriptors run out, others are closed first."""
        while True:
            try:
                return Pack(self._paths[number], number)
            except NoRoom:
                if not self._packs:
                    raise
                for _ in range(-(-len(self._packs) // 2)):
                    self._packs.popitem()

    def forget_image(self, image: str) -> None:
        """Close an image's files: they are about to move or go."""
        with self._lock:
            for source in [source for source in self._images if source[0] == image]:
                del self._images[source]

    def stored(self, pack: Pack, rows: Rows) -> Contents:
        """The pages in these rows as stored, which may be XORed with others. Damaged names the frame or file."""
        if pack.outline.source:
            return self._image(pack.outline.source).read(pack.outline.places[rows].astype(np.int64))
        numbers, slots = np.divmod(rows, pack.outline.frame_pages)
        order = np.argsort(numbers, kind="stable")
        cuts = np.flatnonzero(np.diff(numbers[order])) + 1
        out = np.empty((len(rows), PAGE_BYTES), np.uint8)

        def fill(groups: list[Rows]) -> None:
            for at in groups:
                number = int(numbers[at[0]])
                frame = self._frame(pack, number)
                if len(frame) <= slots[at].max():
                    raise Damaged(f"frame {number} of pack {pack.path.name} is too short")
                out[at] = frame[slots[at]]

        groups = np.split(order, cuts) if len(rows) else []
        if len(groups) < 2 * THREADS:
            fill(groups)
        else:
            share = -(-len(groups) // THREADS)
            list(self._pool.map(fill, [groups[at : at + share] for at in range(0, len(groups), share)]))
        return out

    def _frame(self, pack: Pack, number: int) -> Contents:
        """A frame, read and decompressed once however many threads ask for it at a time."""
        with self._reading[number % STRIPES]:
            key = (pack.number, number)
            with self._lock:
                frame = self._frames.get(key)
            if frame is None:
                frame = pack.frame(number)
                with self._lock:
                    if pack.number in self._paths:
                        self._frames[key] = frame
            return frame

    def _image(self, source: PackSource) -> ImageFile:
        with self._lock:
            if source not in self._images:
                self._images[source] = ImageFile(self._layout.images, *source)
            return self._images[source]
