"""An image's own files as pages: what stands in its root disk or its kernel is referred to, not stored again."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.disk.qcow2 import LayerFile
from core.files import read_error
from core.model import PAGE_BYTES
from core.store.hashing import HASH_BYTES, Contents, Hashes, page_hashes
from core.store.kernel_pages import KernelPages

ROOT, KERNEL = "root.raw", "vmlinux"
TOUCHED = "touched"  # page numbers, u32: what a waking machine touches, first what it needs before it runs
BATCH_PAGES = 2048  # 8 MiB in memory at a time
Places = NDArray[np.uint32]


class ImageFile:
    """Pages of a file of an image by place: block of the root disk, physical page of the kernel."""

    def __init__(self, images: Path, image: str, name: str) -> None:
        self.path = image_directory(images, image) / name
        self._file = LayerFile(self.path)
        self._kernel = KernelPages(self._file) if name == KERNEL else None

    @property
    def pages(self) -> int:
        """How many pages the file has, the last one whole."""
        return self._file.file_bytes // PAGE_BYTES

    def read(self, places: NDArray[np.int64]) -> Contents:
        """The pages at these places; Damaged when the file does not reach so far."""
        if self._kernel is not None:
            return self._kernel.read(places.astype(np.uint32))
        out = np.empty((len(places), PAGE_BYTES), np.uint8)
        self._file.gather(places.astype(np.int64) * PAGE_BYTES, out, np.arange(len(places)))
        return out

    def scan(self) -> tuple[Places, Hashes]:
        """Places and hashes of all pages that are not zero."""
        found: list[tuple[Places, Hashes]] = []
        for places in self._batches():
            contents = self.read(places)
            used = contents.any(axis=1)
            found.append((places[used].astype(np.uint32), page_hashes(contents[used])))
        if not found:
            return np.empty(0, np.uint32), np.empty((0, HASH_BYTES), np.uint8)
        return np.concatenate([p for p, _ in found]), np.concatenate([h for _, h in found])

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def _batches(self) -> Iterator[NDArray[np.int64]]:
        if self._kernel is not None:
            spans = [self._kernel.places().astype(np.int64)]
        else:
            spans = [np.arange(*span) for span in data_spans(self.path)]
        for span in spans:
            yield from (span[at : at + BATCH_PAGES] for at in range(0, len(span), BATCH_PAGES))


def touched_places(images: Path, image: str) -> NDArray[np.int64]:
    """The pages of memory that a machine out of this image touches when it wakes up, as far as they were learned."""
    try:
        return np.frombuffer((image_directory(images, image) / TOUCHED).read_bytes(), "<u4").astype(np.int64)
    except (OSError, ValueError):
        return np.empty(0, np.int64)


def image_directory(images: Path, image: str) -> Path:
    """Where an image's files lie: in its place, or beside it while it is being built."""
    building = images / f".{image}.tmp"
    return building if building.is_dir() else images / image


def data_spans(path: Path) -> Iterator[tuple[int, int]]:
    """First page and end of each stretch of a sparse file that is not a hole."""
    try:
        with path.open("rb", buffering=0) as file:
            size, at = os.fstat(file.fileno()).st_size, 0
            while at < size:
                try:
                    start = os.lseek(file.fileno(), at, os.SEEK_DATA)
                except OSError:
                    return
                at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
                yield start // PAGE_BYTES, min(-(-at // PAGE_BYTES), size // PAGE_BYTES)
    except OSError as error:
        raise read_error(error, str(path)) from error
