"""What a guest does by itself, so that no sign of it comes: what its process takes of a processor, and its disk.

That is told from two looks, the first of them once the guest has settled. Before that the work that it was captured
after, the capture and the sealing take of its processor and write its layer as well, and its kernel goes on writing for
a while: its journal, the times of files. None of that is anything new.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import psutil

from core.catalog_values import BranchRow
from core.engine.busy import processor_s
from core.engine.context import Engine
from core.engine.idle import BUSY_PERCENT
from core.engine.live import Live
from core.errors import VertuiError
from core.patience import patient

SETTLED_S = 60.0  # after a capture: until then a guest's kernel writes what belongs to that
LEAST_BUSY_S = (
    0.5  # of a processor: less is what a guest's clock takes, however short the time between two looks
)
PATIENCE_S = patient(2.0)  # for a guest to tell of its commands


@dataclass
class Stirring:
    """Of one branch: which machine and layer this is of, since when (monotonic); what it was at the first look.
    `used_s` tells what a process has taken of a processor.
    """

    used_s: Callable[[int], float] = processor_s
    _of: tuple[object, ...] = ()
    _since: float = 0.0
    _looked_at: float | None = None
    _used_s: float = 0.0
    _written: float = 0.0

    def settle(
        self, engine: Engine, row: BranchRow, live: Live, settled_s: float = SETTLED_S
    ) -> float | None:
        """Have the first look once `settled_s` have passed since it was captured, got another process or another chain
        of layers; when that will be (monotonic), None when it was.
        """
        now, of = time.monotonic(), _which(row, live)
        if of != self._of:
            self._of, self._since, self._looked_at = of, now, None
        if self._looked_at is None and now - self._since >= settled_s:
            with suppress(psutil.Error):
                self._used_s = self.used_s(live.machine.pid)
            self._looked_at, self._written = now, written_at(engine, live)
        return self._since + settled_s if self._looked_at is None else None

    def stirs(self, engine: Engine, row: BranchRow, live: Live) -> bool:
        """Has it written anything since the first look, or been busy since the last?"""
        if self._looked_at is None or self._of != _which(row, live):
            return False
        if written_at(engine, live) > self._written:
            return True
        before_s, began, self._looked_at = self._used_s, self._looked_at, time.monotonic()
        with suppress(psutil.Error):  # it has ended
            self._used_s = self.used_s(live.machine.pid)
        used_s = self._used_s - before_s
        share = 100 * used_s / max(self._looked_at - began, LEAST_BUSY_S)
        return used_s >= LEAST_BUSY_S and share >= BUSY_PERCENT


def _which(row: BranchRow, live: Live) -> tuple[object, ...]:
    """What is another after a capture, a hand-over, or when the layers of its disk become fewer, which is written into
    the last of them.
    """
    return row.head, live.machine.pid, live.machine.disk_base, live.machine.layers


def written_at(engine: Engine, live: Live) -> float:
    """When the layer that its disk writes was written last; 0 for one that cannot be looked at."""
    with suppress(OSError, IndexError):
        return engine.store.layer_path(live.machine.layers[-1]).stat().st_mtime
    return 0.0


class CommandsLeft(NamedTuple):
    """Of a guest's commands, whoever follows them: do any run, and has any ended of late?"""

    run: bool
    ended: bool


async def commands_left(live: Live, since: float) -> CommandsLeft:
    """What has ended since then (Unix time). One that does not answer is asked again: some may run."""
    with suppress(VertuiError, TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            commands = await (await live.agent()).ps()
        ended = (one.started + one.lasted_ms / 1000 for one in commands if one.lasted_ms is not None)
        return CommandsLeft(any(one.exit_code is None for one in commands), any(at > since for at in ended))
    return CommandsLeft(run=True, ended=False)
