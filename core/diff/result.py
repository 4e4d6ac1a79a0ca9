"""What comparisons answer: the values behind `diff --json` and the API's answer, which are JSON objects of this shape.

A path, target or attribute name is text as `core.names` spells it; where that is not the name itself, the field of
the same name and `_hex` has the exact bytes. What is None or UNSET by default is left out of the object then.

There may be very many of those that are made without `gc`: nothing of them leads back to them, so that the collector
has nothing to look for there.
"""

from msgspec import UNSET, Struct, UnsetType, field

from core.diff.entry import Aspect, DiffKind
from core.diff.meta import FileType
from core.model import Process


class FileState(Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """One side of a file: `mode` is octal text, attribute values are hexadecimal, flags the letters of lsattr(1),
    `device` the major and minor number.
    """

    type: FileType
    mode: str
    uid: int
    gid: int
    size: int
    mtime_ns: int
    links: int
    inode: int
    target: str | None = None
    target_hex: str | None = None
    device: tuple[int, int] | None = None
    xattrs: dict[str, str] | None = None
    flags: str | None = None
    project: int | None = None

    @property
    def owner(self) -> str:
        """User and group, as chown(1) takes them."""
        return f"{self.uid}:{self.gid}"


class FileDiff(Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """One path that differs. `source`, called `from` in JSON, is where a renamed file was; `lines` are those added and
    removed, null where that has no meaning, left out where nobody asked.
    """

    path: str
    path_hex: str | None = None
    kind: DiffKind
    source: str | None = field(default=None, name="from")
    source_hex: str | None = field(default=None, name="from_hex")
    what: tuple[Aspect, ...]
    before: FileState | None
    after: FileState | None
    lines: tuple[int, int] | UnsetType | None = UNSET


class Counts(Struct, frozen=True):
    """How many paths of each kind."""

    added: int
    removed: int
    modified: int
    renamed: int


class Package(Struct, frozen=True):
    """An installed package: `name:architecture`."""

    name: str
    version: str


class PackageUpgrade(Struct, frozen=True):
    """A package of two versions."""

    name: str
    before: str
    after: str


class PackagesDiff(Struct, frozen=True):
    """Debian packages, each list ordered by name."""

    added: tuple[Package, ...]
    removed: tuple[Package, ...]
    changed: tuple[PackageUpgrade, ...]


class ListeningPort(Struct, frozen=True, order=True):
    """Where a program of a guest can be reached, and its name as far as the guest tells."""

    protocol: str
    address: str
    port: int
    command: str


class PortsDiff(Struct, frozen=True):
    """Ports that are listened on in one of two guests alone."""

    opened: tuple[ListeningPort, ...]
    closed: tuple[ListeningPort, ...]


class GuestConnection(Struct, frozen=True, order=True):
    """Two ends that a program of a guest holds together, and its name as far as the guest tells."""

    protocol: str
    address: str
    port: int
    peer: str
    peer_port: int
    command: str


class ConnectionsDiff(Struct, frozen=True):
    """Connections of one of two guests alone."""

    opened: tuple[GuestConnection, ...]
    closed: tuple[GuestConnection, ...]


class ProcessesDiff(Struct, frozen=True):
    """Processes of one of two guests alone. A forked process keeps its number and its command."""

    started: tuple[Process, ...]
    ended: tuple[Process, ...]


class HeatMap(Struct, frozen=True):
    """How many pages of each equally large region of memory differ, lowest addresses first, `columns` a row."""

    pages: int
    page_bytes: int
    changed_pages: int
    columns: int
    cell_pages: int
    cells: tuple[int, ...]


class Diff(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What differs from REF `a` to REF `b`. `notes` are on anything that limits what this says, `fallbacks` how often
    guests were asked for what disks did not tell. What is beside files is there if it was asked for.
    """

    entries: tuple[FileDiff, ...]
    counts: Counts
    fallbacks: int
    packages: PackagesDiff | None = None
    memory: HeatMap | None = None
    processes: ProcessesDiff | None = None
    ports: PortsDiff | None = None
    connections: ConnectionsDiff | None = None
    a: str
    b: str
    notes: tuple[str, ...]


class DiffSize(Struct, frozen=True):
    """How much differs between two disks: paths, and lines added and removed in those that are text; None for lines
    that nobody asked for, or of more files than are looked into for a figure.
    """

    paths: int
    lines: tuple[int, int] | None = None


class SiblingChange(Struct, frozen=True, gc=False):
    """What one sibling did to a path; equal `change` numbers in a row are the same change. `grown` is by how
    many bytes the file is larger than before, negative where it is smaller.
    """

    kind: DiffKind
    change: int
    grown: int


class SiblingRow(Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """One path, and what each sibling did to it, in the order of the REFs: null for nothing."""

    path: str
    path_hex: str | None = None
    cells: tuple[SiblingChange | None, ...]


class Siblings(Struct, frozen=True):
    """Which files differ among REFs, each against the commit that all come from, or the REF named as `base`."""

    base: str
    refs: tuple[str, ...]
    rows: tuple[SiblingRow, ...]
    notes: tuple[str, ...]
