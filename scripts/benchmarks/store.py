"""`scripts/bench store`: what commits take, how fast they are sealed, and what level and frame size cost and give."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from homes import built, copied
from report import Report

from core.daemon import streams
from core.daemon.client import Client
from core.daemon.start import ensure_daemon
from core.model import PAGE_BYTES, ExecRequest
from core.store.image_pages import touched_places
from core.store.layout import source_of
from core.store.pack_writer import FRAME_PAGES, LEVEL
from core.store.packs import PackStore
from core.store.reader import PageReader
from core.store.values import MEMORY, Captured, Manifest

LEVELS, FRAMES = (1, 3, 6, 9), (4, 16, 64)
READS, SEALS = 60, 10
SEAL_BYTES = 50_000_000
COMMAND = ("python3", "-c", "import json; print(len(json.dumps(list(range(1000)))))")
MB = 1e6
HEADER = "level  pages a frame   size MB   seal ms   fault ms   sequential MB/s"


@dataclass(frozen=True)
class Golden:
    """A golden commit's memory, read from the built home: page numbers and contents, and what else makes a state."""

    manifest: Manifest
    pages: np.ndarray
    table: np.ndarray
    devices: bytes

    def captured(self, pages: np.ndarray, table: np.ndarray, base: str | None) -> Captured:
        """These pages as a machine's capture; its disk is the image's."""
        told = self.manifest
        return Captured(told.image, base, base, told.spec, pages, table, self.devices, (), True)


def measure(quick: bool) -> Report:
    """Musts 1 and 2 of the store, and the trade-off its defaults follow from."""
    report = Report("the store: a 512 MiB machine, pages of 4 KiB")
    golden = _golden()
    _sizes(report, golden)
    _small_commit(report)
    _seal(report, golden, quick)
    report.notes.append(HEADER)
    for level in LEVELS[:2] if quick else LEVELS:
        for frame_pages in FRAMES:
            report.notes.append(_row(golden, level, frame_pages, quick))
    report.notes.append(f"defaults: level {LEVEL}, {FRAME_PAGES} pages a frame; faults are cold, of one page")
    return report


def _golden() -> Golden:
    reader = PageReader(built().root)
    commits = [reader.manifest(commit) for commit in reader.commits()]
    told = next(manifest for manifest in commits if not manifest.parents)
    table = reader.table(told.id, MEMORY)
    pages = np.flatnonzero(table)
    contents = reader.pages(told.id, MEMORY, pages, table[pages])
    return Golden(told, pages.astype(np.uint32), contents, reader.record(told.id).devices())


def _put(store: PackStore, captured: Captured, parents: tuple[str, ...] = ()) -> tuple[Manifest, int]:
    return store.put(captured, store.identify(captured, parents))


def _packed(store: PackStore) -> int:
    paths = store.reader.shelf.paths().values()
    return sum(path.stat().st_size for path in paths if not source_of(path))


def _sizes(report: Report, golden: Golden) -> None:
    with copied("sizes", images_only=True) as home:
        store = PackStore(home.root)
        manifest, stored = _put(store, golden.captured(golden.pages, golden.table, None))
        record = stored - _packed(store)
        store.gather({manifest.id: touched_places(home.images, manifest.image)})  # as an image's build does
        report.add(
            "golden commit: its memory adds", (record + _packed(store)) / MB, "MB", must=8.0, aim=4.5, promise=1,
            timed=f"{stored / MB:.2f} MB before what a waking machine touches was gathered",
        )  # fmt: skip
        report.notes.append(
            f"golden commit: {len(golden.pages)} pages are not zero, {golden.table.nbytes / MB:.0f} MB"
        )
        store.close()


def _small_commit(report: Report) -> None:
    """What a real machine's commit after a small command adds."""
    with copied("small") as home:
        ensure_daemon(home)
        client = Client(home)
        client.up(None, "main")
        client.commit("main")
        for _ in range(2):  # the first run warms caches up: its pages are the program's
            before = client.tree().branches[0].head
            with streams.run(home, ExecRequest("main", COMMAND)) as stream:
                for _ in stream:
                    pass
            done = client.commit("main").commit
        reader = PageReader(home.root)
        touched = int((reader.table(before, MEMORY) != reader.table(done.id, MEMORY)).sum())
        reader.close()
        report.add("commit after a small command adds", done.stored_bytes / MB, "MB")
        report.add(
            "the same, by 1,000 pages touched",
            done.stored_bytes / touched * 1000 / MB,
            "MB",
            must=1.5,
            promise=1,
        )
        report.notes.append(f"the small command touched {touched} pages, read by the tables of both commits")


def _seal(report: Report, golden: Golden, quick: bool) -> None:
    """50 MB of a machine's own pages, each a little changed: nothing of them is in the store."""
    with copied("seal", images_only=True) as home:
        store = PackStore(home.root)
        base, _ = _put(store, golden.captured(golden.pages, golden.table, None))
        rng = np.random.default_rng(1)
        rows = np.sort(rng.choice(len(golden.pages), SEAL_BYTES // PAGE_BYTES, replace=False))
        parts = []

        def seal() -> None:
            table = golden.table[rows].copy()
            at = rng.integers(0, PAGE_BYTES, (len(rows), 1)) + np.arange(64)
            table[np.arange(len(rows))[:, None], at % PAGE_BYTES] = rng.integers(
                0, 256, at.shape, dtype=np.uint8
            )
            captured = golden.captured(golden.pages[rows], table, base.id)
            began = time.perf_counter()
            identified = store.identify(captured, (base.id,))
            middle = time.perf_counter()
            manifest, stored = store.put(captured, identified)
            parts.append((middle - began, time.perf_counter() - middle, stored))
            store.delete(manifest.id)
            store.gc([base.id])

        for _ in range(3 if quick else SEALS):
            seal()
        whole = [(a + b) * 1000 for a, b, _ in parts]
        report.add(
            f"seal of 50 MB of changed pages (median of {len(whole)})",
            median(whole),
            "ms",
            must=1000,
            aim=300,
            promise=2,
        )
        report.notes.append(
            f"seal: identify {median(a for a, _, _ in parts) * 1000:.0f} ms, put"
            f" {median(b for _, b, _ in parts) * 1000:.0f} ms, {median(s for _, _, s in parts) / MB:.1f} MB stored"
        )
        store.close()


def _row(golden: Golden, level: int, frame_pages: int, quick: bool) -> str:
    """The golden commit's memory stored like this; its seal is the best of five, noise only adds."""
    seal_ms = min(_put_ms(golden, level, frame_pages) for _ in range(1 if quick else 5))
    with copied("row", images_only=True) as home:
        store = PackStore(home.root, level=level, frame_pages=frame_pages)
        manifest, _ = _put(store, golden.captured(golden.pages, golden.table, None))
        size = _packed(store)
        store.close()
        fault = _fault_ms(home.root, manifest.id, quick)
        speed = _sequential(home.root, manifest.id)
    return f"{level:5}  {frame_pages:13}  {size / MB:8.2f}  {seal_ms:8.0f}  {fault:9.2f}  {speed:16.0f}"


def _put_ms(golden: Golden, level: int, frame_pages: int) -> float:
    """How long putting the golden memory into an empty store takes, in ms."""
    with copied("stored", images_only=True) as home:
        store = PackStore(home.root, level=level, frame_pages=frame_pages)
        captured = golden.captured(golden.pages, golden.table, None)
        identified = store.identify(captured, ())
        began = time.perf_counter()
        store.put(captured, identified)
        took = (time.perf_counter() - began) * 1000
        store.close()
    return took


def _fault_ms(home: Path, commit: str, quick: bool) -> float:
    """One page, from a frame read from the disk: no frame is asked twice."""
    reader = PageReader(home)
    table = reader.table(commit, MEMORY)
    places = np.flatnonzero(table)
    located = reader.index.locate(table[places])
    own = {n for n, path in reader.shelf.paths().items() if not source_of(path)}
    packed = np.isin(located >> np.uint64(32), list(own))
    frames = (located & np.uint64(0xFFFFFFFF)) // reader.shelf.pack(next(iter(own))).directory.frame_pages
    _, first = np.unique(frames[packed], return_index=True)
    chosen = np.random.default_rng(2).permutation(places[packed][first]).tolist()
    reader.read(commit, MEMORY, int(places[0]), 1)

    times = []
    for place in chosen[: 5 if quick else READS]:
        _drop(home)
        began = time.perf_counter()
        reader.read(commit, MEMORY, place, 1)
        times.append((time.perf_counter() - began) * 1000)
    reader.close()
    return median(times)


def _sequential(home: Path, commit: str) -> float:
    """MB/s of the commit's whole memory but its zero pages, in order, from the disk."""
    _drop(home)
    reader = PageReader(home)
    table = reader.table(commit, MEMORY)
    places = np.flatnonzero(table)
    began = time.perf_counter()
    for at in range(0, len(places), 1024):
        part = places[at : at + 1024]
        reader.pages(commit, MEMORY, part, table[part])
    took = time.perf_counter() - began
    reader.close()
    return len(places) * PAGE_BYTES / took / MB


def _drop(home: Path) -> None:
    """Let the page cache forget the store's packs and the image's files."""
    for path in (*(home / "store/packs").iterdir(), *(home / "images").glob("*/*")):
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
