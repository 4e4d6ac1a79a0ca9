"""The seam between the engine and wherever commits are kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.machine.memory import Pages, Table
from core.model import MachineSpec


@dataclass(frozen=True)
class Captured:
    """A machine's state as read while it stood still.

    `pages`: sorted page numbers, shape (n,), and `table`: their contents, shape (n, 4096), over `base`.
    `layers`: the disk's qcow2 layers over the image's root disk, oldest first; none of them is written any more.
    """

    image: str
    base: str | None
    spec: MachineSpec
    pages: Pages
    table: Table
    devices: bytes
    layers: tuple[str, ...]
    quiesced: bool


@dataclass(frozen=True)
class Identified:
    """The ids of a captured state: known before anything is stored."""

    id: str
    state_id: str
    parents: tuple[str, ...]
    layers: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Manifest:
    """What a stored commit consists of. `base` is the golden commit its pages lie over, None for zero memory.

    `files` are BLAKE3 hashes by file name; `layers` pairs of layer id and hash.
    """

    format: int
    id: str
    state_id: str
    parents: tuple[str, ...]
    image: str
    base: str | None
    spec: MachineSpec
    page_count: int
    quiesced: bool
    layers: tuple[tuple[str, str], ...]
    files: dict[str, str]


class PageStore(Protocol):
    """Keeps commits. Every method blocks; call them from a thread. All raise Damaged, NoRoom or NotFound."""

    def layer_path(self, layer: str) -> Path:
        """Where a disk layer lies, also one that a machine still writes."""
        ...

    def identify(self, captured: Captured, parents: tuple[str, ...]) -> Identified:
        """The ids a state has as a child of `parents`."""
        ...

    def put(self, captured: Captured, identified: Identified) -> tuple[Manifest, int]:
        """Store a state durably; its manifest, and the bytes added. On failure nothing is left."""
        ...

    def manifest(self, commit: str) -> Manifest:
        """The manifest of a stored commit."""
        ...

    def memory(self, commit: str) -> tuple[Pages, Table]:
        """The pages over the base, verified."""
        ...

    def devices(self, commit: str) -> bytes:
        """The device state, verified."""
        ...

    def disk(self, commit: str) -> tuple[str, ...]:
        """The disk's layer ids, oldest first, each verified against its hash."""
        ...

    def size_bytes(self, commit: str) -> int:
        """What the commit's own files take on disk, layers not counted."""
        ...

    def delete(self, commit: str) -> None:
        """Remove a commit's own files; idempotent. Layers go by `collect`."""
        ...

    def collect(self, keep: frozenset[str]) -> int:
        """Remove every layer not in `keep`; bytes freed."""
        ...
