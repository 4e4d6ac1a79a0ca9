"""`Held` in memory: its children do nothing but run until they are ended."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from core.errors import MachineFailed
from core.holder.confine import Confinement
from core.holder.protocol import Holdings

FIRST_PID = 1 << 22  # the kernel gives no process a number from here on
KILLED = -9


class TwinHeld:
    """Descriptors are real ones, so that what is kept is known by them."""

    def __init__(self) -> None:
        self._pids = count(FIRST_PID)
        self._children: dict[str, int] = {}
        self._served: set[str] = set()
        self._kept: dict[str, int] = {}
        self._exits: dict[str, int] = {}
        self._watchers: list[tuple[asyncio.AbstractEventLoop, Callable[[str, int], None]]] = []

    def close(self) -> None:
        """Let go of every descriptor; idempotent."""
        for key in list(self._kept):
            self.drop(key)
        self._watchers.clear()

    def spawn(
        self,
        key: str,
        argv: Sequence[str],
        log: Path,
        descriptors: Sequence[int],
        nursery: str = "",
        confined: Confinement | None = None,
    ) -> int:
        """A child that is a number."""
        if key in self._children:
            raise MachineFailed(f"cannot start {Path(argv[0]).name}: {key} runs already")
        pid = self._children[key] = next(self._pids)
        return pid

    def serve(self, key: str, argv: Sequence[str], log: Path, kept: Sequence[str], nursery: str) -> int:
        """One that runs goes on; its successor comes at once."""
        self._served.add(key)
        return self._children.get(key) or self.spawn(key, argv, log, ())

    def kill(self, key: str) -> None:
        """End a child, and let it be told."""
        self.ended(key, KILLED)

    def ended(self, key: str, status: int) -> None:
        """A child ends by itself."""
        if self._children.pop(key, None) is None:
            return
        if not self._watchers:
            self._exits[key] = status
        for loop, on_exit in self._watchers:
            loop.call_soon_threadsafe(on_exit, key, status)
        if key in self._served:
            self._children[key] = next(self._pids)

    def keep(self, key: str, descriptor: int) -> None:
        """A copy of the descriptor."""
        self.drop(key)
        self._kept[key] = os.dup(descriptor)

    def get(self, key: str) -> int | None:
        """A copy of the copy."""
        return os.dup(self._kept[key]) if key in self._kept else None

    def drop(self, key: str) -> None:
        """Close the copy."""
        with contextlib.suppress(KeyError):
            os.close(self._kept.pop(key))

    def holdings(self) -> Holdings:
        """What there is."""
        exits, self._exits = self._exits, {}
        return Holdings(dict(self._children), frozenset(self._kept), exits, FIRST_PID - 1)

    def rest(self) -> None:
        """There is no daemon that could be started."""

    def watch(self, on_exit: Callable[[str, int], None]) -> None:
        """On the running loop."""
        self._watchers.append((asyncio.get_running_loop(), on_exit))
