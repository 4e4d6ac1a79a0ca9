"""The seam between the engine and the files that machines map."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.holder.protocol import Holdings
from core.progress import Told, nobody
from core.store.views.damage import Damage

ReadPages = Callable[[NDArray[np.int64]], NDArray[np.uint8]]
"""The contents, shape (n, 4096), of pages by their numbers."""


class Views(Protocol):
    """Commits' contents as files that machines map. Paths only: a reader opens them, and may have to wait."""

    def start(self, holdings: Holdings) -> None:
        """Let there be such files, or go on with what an earlier daemon left. Blocks for some ms."""
        ...

    async def nursery_ended(self) -> None:
        """To be called when the holder tells of the exit of the child that forks servers."""
        ...

    def path(self, commit: str, medium: str) -> Path:
        """The file that is a commit's `memory` or `disk`. To open it is to wait for the server."""
        ...

    async def hydrate(self, commit: str, medium: str, told: Told = nobody) -> None:
        """Fill the page cache with a whole view; cancel the task to stop. Damaged pages are left to who needs them.
        `told` hears how many bytes were read.
        """
        ...

    def store_ahead(self, commit: str, pages: NDArray[np.int64], read: ReadPages) -> None:
        """Begin to put these pages of a commit's memory into the page cache, in this order: once a commit, in a thread
        nobody waits for. `read` gives their contents, verified.
        """
        ...

    def damage(self, commit: str) -> Damage | None:
        """The last damaged page of a commit that a reader wanted; None when there is none."""
        ...
