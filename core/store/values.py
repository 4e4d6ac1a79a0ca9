"""What goes into the store and comes out of it: a captured state, its ids, its label and its manifest."""

from dataclasses import dataclass, field

from core.model import MachineSpec
from core.pages import Pages, Table
from core.store.hashing import Hashes
from core.store.pack import Ids, Rows

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
