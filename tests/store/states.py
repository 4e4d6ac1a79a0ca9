"""Small homes and machine states to put in a store: images, layers, captured pages, and what must come back."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.files import Files, os_files
from core.model import PAGE_BYTES, MachineSpec
from core.store.packs import PackStore
from core.store.values import DISK, MEMORY, Captured, Label

PAGES = 256  # of memory, and of disk
SPEC = MachineSpec("pc-q35-7.2", "Nehalem-v1", "tcg", PAGES * PAGE_BYTES, 1, PAGES * PAGE_BYTES)
KERNEL_PAGE, KERNEL_PAGES = 64, 16  # where the kernel is loaded, and how long it is
Contents = Mapping[int, bytes]


def content(seed: int) -> bytes:
    """A page that compresses somewhat; 0 is the zero page."""
    if seed == 0:
        return bytes(PAGE_BYTES)
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 256, 256, dtype=np.uint8).tobytes() * 16)[:PAGE_BYTES]


def patched(seed: int) -> bytes:
    """That page with a few bytes changed."""
    return b"patched!" + content(seed)[8:]


def make_image(home: Path, image: str = "base", files: Files = os_files) -> None:
    """An image: blocks 0 to 31 of the root disk are used, and the kernel has 16 pages."""
    directory = home / "images" / image
    directory.mkdir(parents=True)
    (home / "layers").mkdir(exist_ok=True)
    disk = b"".join(content(1000 + block) for block in range(32))
    files.append(directory / "root.raw", disk + bytes((PAGES - 32) * PAGE_BYTES))
    files.append(directory / "vmlinux", kernel())


def kernel() -> bytes:
    """An ELF with one segment."""
    size = KERNEL_PAGES * PAGE_BYTES
    head = b"\x7fELF\x02".ljust(0x20, b"\0") + struct.pack("<Q", 64)
    head = head.ljust(0x36, b"\0") + struct.pack("<HH", 56, 1)
    program = struct.pack("<IIQQQQQQ", 1, 5, PAGE_BYTES, 0, KERNEL_PAGE * PAGE_BYTES, size, size, PAGE_BYTES)
    body = b"".join(content(2000 + page) for page in range(KERNEL_PAGES))
    return (head.ljust(64, b"\0") + program).ljust(PAGE_BYTES, b"\0") + body


def qcow2(blocks: Contents, pages: int = PAGES) -> bytes:
    """A layer with these blocks: header, first-level table, one second-level table, clusters."""
    header = struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, 12, pages * PAGE_BYTES, 0, 1, PAGE_BYTES,
                         0, 0, 0, 0, 0, 0, 0, 4, 104)  # fmt: skip
    entries = np.zeros(512, ">u8")
    for number, block in enumerate(sorted(blocks)):
        entries[block] = (3 + number) * PAGE_BYTES
    first = struct.pack(">Q", 2 * PAGE_BYTES)
    parts = [header.ljust(PAGE_BYTES, b"\0"), first.ljust(PAGE_BYTES, b"\0"), entries.tobytes()]
    return b"".join(parts + [blocks[block] for block in sorted(blocks)])


@dataclass(frozen=True)
class State:
    """A machine's state as a test knows it: all of its memory and disk, and every layer since the image."""

    memory: Contents = field(default_factory=dict)
    disk: Contents = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    devices: bytes = b"devices"

    def bytes_of(self, medium: str) -> bytes:
        """What reading everything must give."""
        pages = self.memory if medium == MEMORY else self.disk
        room = bytearray(PAGES * PAGE_BYTES)
        if medium == DISK:
            room[: 32 * PAGE_BYTES] = b"".join(content(1000 + block) for block in range(32))
        for page, data in pages.items():
            room[page * PAGE_BYTES : (page + 1) * PAGE_BYTES] = data
        return bytes(room)


@dataclass
class Bench:
    """A home with a store, and the states committed to it."""

    home: Path
    files: Files = os_files
    states: dict[str, State] = field(default_factory=dict)
    golden: str | None = None
    image: str = "base"

    def __post_init__(self) -> None:
        if not (self.home / "images" / self.image).exists():
            make_image(self.home, self.image, self.files)
        self.store = PackStore(self.home, self.files)

    def commit(
        self, memory: Contents, disk: Contents, parent: str | None = None, devices: bytes = b"devices"
    ) -> str:
        """Commit `parent`'s state (the golden commit's without one) with these pages and blocks over it."""
        captured, state, parents = self.capture(memory, disk, parent, devices)
        made = self.store.identify(captured, parents)
        manifest, _ = self.store.put(captured, made, Label("main", "a test", 1.0))
        self.states.setdefault(manifest.id, state)  # an equal commit may be there, on other layers
        self.golden = self.golden or manifest.id
        return manifest.id

    def capture(
        self, memory: Contents, disk: Contents, parent: str | None = None, devices: bytes = b"devices"
    ) -> tuple[Captured, State, tuple[str, ...]]:
        """What a machine's capture would give, its new layer written, with the state it stands for."""
        under = parent or self.golden
        below = self.states[under] if under else State()
        layer = f"layer{len(list((self.home / 'layers').iterdir())):04}x{abs(hash(under)) % 10**6}"
        self.files.append(self.home / "layers" / f"{layer}.qcow2", qcow2(disk))
        state = State({**below.memory, **memory}, {**below.disk, **disk}, (*below.layers, layer), devices)
        base = self.states[self.golden].memory if self.golden else {}
        whole = {page: data for page, data in state.memory.items() if base.get(page) != data}
        pages = np.array(sorted(whole), np.uint32)
        table = np.frombuffer(b"".join(whole[p] for p in sorted(whole)), np.uint8).reshape(-1, PAGE_BYTES)
        captured = Captured(self.image, self.golden, under, SPEC, pages, table, devices, (layer,), True)
        return captured, state, (under,) if under else ()

    def reads(self, commit: str, store: PackStore | None = None) -> bool:
        """Does every page come back, by reader, by disk and for a machine?"""
        state, store = self.states[commit], store or self.store
        reader = store.reader
        same = all(reader.read(commit, m, 0, PAGES) == state.bytes_of(m) for m in (MEMORY, DISK))
        with store.disk(commit) as disk:
            same &= disk.read(0, disk.size) == state.bytes_of(DISK)
        return same and store.devices(commit) == state.devices

    def forget(self, commit: str) -> None:
        """Prune a commit for good."""
        self.store.delete(commit)
        del self.states[commit]


def tree_bytes(*roots: Path) -> int:
    """The length of all files below."""
    return sum(path.stat().st_size for root in roots for path in root.rglob("*") if path.is_file())


class Steps:
    """Hears how far work is."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        """So many of so many."""
        self.heard.append((done, total))

    @property
    def are_all(self) -> bool:
        """Was each heard of, of the same whole, to the last?"""
        return self.heard == [(n, len(self.heard)) for n in range(1, len(self.heard) + 1)] != []
