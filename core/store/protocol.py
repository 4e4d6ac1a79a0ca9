"""The seam between the engine and wherever commits are kept."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from core.model import MachineSpec
from core.pages import Pages, Table
from core.store.hashing import Contents, Hashes
from core.store.pack import Ids, Rows

if TYPE_CHECKING:
    from core.store.check import Problem
    from core.store.collect import Marked
    from core.store.table_disk import TableDisk
    from core.store.usage import Group, Usage

MEMORY, DISK = "memory", "disk"


@dataclass(frozen=True)
class Captured:
    """A machine's state as read while it stood still.

    `pages`: sorted page numbers, shape (n,), and `table`: their contents, shape (n, 4096), over the memory of commit
    `base`; some may be equal to the page below. `layers`: qcow2 layers over the disk of commit `disk_base`, oldest
    first; none of them is written any more. Without a base memory is zero below, and the disk the image's root disk.
    """

    image: str
    base: str | None
    disk_base: str | None
    spec: MachineSpec
    pages: Pages
    table: Table
    devices: bytes
    layers: tuple[str, ...]
    quiesced: bool

    @property
    def needs(self) -> tuple[str, ...]:
        """The layers and commits it lies on."""
        return (*self.layers, *(base for base in (self.base, self.disk_base) if base))


@dataclass(frozen=True)
class Changes:
    """Pages laid over a table: places (n,) ascending, hashes (n, 32); `root` is the resulting table's hash."""

    places: Ids
    hashes: Hashes
    root: str


@dataclass(frozen=True)
class Identified:
    """The ids of a captured state: known before anything is stored, with what was found on the way.

    `rows` are those of the captured table that differ from the page below.
    """

    id: str
    state_id: str
    parents: tuple[str, ...]
    rows: Rows
    memory: Changes
    disk: Changes


@dataclass(frozen=True)
class Label:
    """What the catalog says of a commit, kept in its manifest so that the catalog can be made again."""

    branch: str = ""
    message: str = ""
    created: float = 0.0


NO_LABEL = Label()


@dataclass(frozen=True)
class Manifest:
    """What a stored commit consists of. `base` is the commit its machine mapped, None when an image had booted.

    `memory` and `disk` are root hashes; `files` hashes by section of the record. `foreign` says that it was imported.
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
    memory: str
    disk: str
    label: Label = NO_LABEL
    foreign: bool = False
    files: dict[str, str] = field(default_factory=dict)


class PageStore(Protocol):
    """Keeps commits. Every method blocks; call them from a thread. All raise Damaged, NoRoom or NotFound."""

    @property
    def made_again(self) -> str:
        """Why the index was made again from the packs when the store opened; "" when it was not."""
        ...

    def layer_path(self, layer: str) -> Path:
        """Where a disk layer lies, also one that a machine still writes."""
        ...

    def identify(self, captured: Captured, parents: tuple[str, ...]) -> Identified:
        """The ids a state has as a child of `parents`."""
        ...

    def put(
        self, captured: Captured, identified: Identified, label: Label = NO_LABEL
    ) -> tuple[Manifest, int]:
        """Store a state durably; its manifest, and the bytes added. On failure nothing is left."""
        ...

    def manifest(self, commit: str) -> Manifest:
        """The manifest of a stored commit."""
        ...

    def memory_hashes(self, commit: str) -> Hashes:
        """The hash of every page of a commit's memory."""
        ...

    def memory(self, commit: str, places: Rows) -> Contents:
        """Pages of a commit's memory, shape (n, 4096), verified."""
        ...

    def devices(self, commit: str) -> bytes:
        """The device state, verified. Damaged also when a page table of the commit cannot be read."""
        ...

    def disk(self, commit: str, layers: Sequence[Path] = ()) -> "TableDisk":
        """The disk, read from the store, under layers that a machine wrote. Keep the commit `pinned` if it may go."""
        ...

    def pinned(self, commit: str) -> AbstractContextManager[None]:
        """Keep a commit's pages from gc while the body reads them."""
        ...

    def size_bytes(self, commit: str) -> int:
        """What the commit's own file takes on disk; pages are shared (see `du`)."""
        ...

    def delete(self, commit: str) -> None:
        """Remove a commit; idempotent. Its pages go by `gc`, layers by `collect`."""
        ...

    def collect(self, keep: frozenset[str]) -> int:
        """Remove every layer not in `keep`; bytes freed."""
        ...

    def du(self, groups: "Mapping[str, Group]" = ...) -> "Usage":
        """What every commit and group of commits takes, and what pruning it would free."""
        ...

    def check(self, read_data_percent: float = 0.0) -> "list[Problem]":
        """Everything that is not as it was written; that share of the pages is read."""
        ...

    def compact(self) -> int:
        """Rewrite packs with little live data; bytes freed."""
        ...

    def gather(self, commit: str, places: Rows) -> None:
        """Put what stands at these places of a commit's memory side by side, to be read with little else."""
        ...

    def commits(self) -> list[str]:
        """Every commit on disk, also one without a row."""
        ...

    def forget_image(self, image: str) -> None:
        """Make the store independent of an image's files: call it before they go."""
        ...

    def gc(self, keep: frozenset[str]) -> int:
        """Remove leftover commits not in `keep`, and every page no commit names; bytes freed."""
        ...

    def mark(self, keep: frozenset[str]) -> "Marked":
        """What gc would remove now."""
        ...

    def layers(self) -> dict[str, int]:
        """Bytes that each disk layer takes, by its id."""
        ...

    def rebuild(self) -> None:
        """Make the index again from the packs."""
        ...

    def tune(self, *, level: int, frame_pages: int) -> None:
        """Compress what is written from now on like this."""
        ...

    def staging(self) -> AbstractContextManager[Path]:
        """A place for a file on its way in or out, gone afterwards."""
        ...

    def append(self, path: Path, data: bytes) -> None:
        """Add to a file in `staging`."""
        ...

    def export(self, commit: str, target: Path) -> int:
        """Write a commit to one self-contained file; its size."""
        ...

    def import_(self, source: Path) -> tuple[Manifest, int]:
        """Store a commit from such a file, every page verified, marked foreign; its manifest and the bytes added."""
        ...
