"""`Views` as plain files, written when they are first asked for."""

import asyncio
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import NotFound
from core.holder.protocol import Holdings
from core.home import Home
from core.progress import Told, nobody
from core.store.values import MEMORY
from core.store.views.damage import Damage
from core.store.views.protocol import ReadPages
from tests.twins.store import TwinStore


class TwinViews:
    """Of a twin's commits. `damages` is what a test says that readers met."""

    def __init__(self, home: Home, store: TwinStore) -> None:
        self._home, self._store = home, store
        self.damages: dict[str, Damage] = {}

    def start(self, holdings: Holdings) -> None:
        """There is no server."""

    async def nursery_ended(self) -> None:
        """There is none."""

    def path(self, commit: str, medium: str) -> Path:
        """No file for a commit that is not in the store; of a disk nothing but its name is asked."""
        path = self._home.views / commit / medium
        if medium == MEMORY and not path.exists():
            try:
                pages = self._store.manifest(commit).spec.memory_bytes // 4096
                content = self._store.memory(commit, np.arange(pages))
            except NotFound:
                return path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.tobytes())
        return path

    async def hydrate(self, commit: str, medium: str, told: Told = nobody) -> None:
        """It is."""
        told(1 << 20, 4 << 20)
        await asyncio.sleep(0)

    def store_ahead(self, commit: str, pages: NDArray[np.int64], read: ReadPages) -> None:
        """It is."""

    def damage(self, commit: str) -> Damage | None:
        """What a test said."""
        return self.damages.get(commit)
