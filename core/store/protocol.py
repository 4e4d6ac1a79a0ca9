"""The seam between the engine and wherever commits are kept."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from core.progress import Told, nobody
from core.store.check import Problem
from core.store.collect import Marked
from core.store.hashing import Contents, Hashes
from core.store.pack import Rows
from core.store.table_disk import TableDisk
from core.store.usage import CommitGroup, Usage
from core.store.values import NO_LABEL, Captured, Identified, Label, Manifest


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

    def disk(self, commit: str, layers: Sequence[Path] = ()) -> TableDisk:
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

    def release(self, commit: str) -> None:
        """Let `gc` remove a commit that this process sealed, once nobody keeps it."""
        ...

    def collect(self, keep: frozenset[str]) -> int:
        """Remove every layer not in `keep`; bytes freed."""
        ...

    def du(self, groups: Mapping[str, CommitGroup] = ...) -> Usage:
        """What every commit and group of commits takes, and what pruning it would free."""
        ...

    def check(self, read_data_percent: float = 0.0, told: Told = nobody) -> list[Problem]:
        """Everything that is not as it was written; that share of the pages is read. `told` hears how far it is."""
        ...

    def compact(self, told: Told = nobody, room_bytes: float = ...) -> int:
        """Rewrite packs with little live data; bytes freed. So many may be written; `told` hears how far it is."""
        ...

    def gather(self, lists: Mapping[str, Rows]) -> None:
        """Store the pages at these places of commits' memories side by side, grouped by which commits name them, so
        that little else is read with those of one commit. A commit that is not there is left out.
        """
        ...

    def commits(self) -> list[str]:
        """Every commit on disk, also one without a row."""
        ...

    def forget_image(self, image: str, told: Told = nobody) -> None:
        """Make the store independent of an image's files: call it before they go. `told` hears of pages it moves."""
        ...

    def gc(self, keep: frozenset[str], told: Told = nobody) -> int:
        """Remove leftover commits not in `keep`, and every page no commit names; bytes freed. `told` hears how far it
        is.
        """
        ...

    def mark(self, keep: frozenset[str]) -> Marked:
        """What gc would remove now."""
        ...

    def would_free(self, marked: Marked, room_bytes: float = ...) -> int:
        """About how many bytes `compact` would free after a gc of that."""
        ...

    def layers(self) -> dict[str, int]:
        """Bytes that each disk layer takes, by its id."""
        ...

    def rebuild(self, told: Told = nobody) -> None:
        """Make the index again from the packs. `told` hears how many were read."""
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
