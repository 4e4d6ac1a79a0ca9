"""Branches that stand still because the host's disk is full: QEMU stopped them before their guests saw an error.

Such a branch is paused, says so, and goes on by itself once there is room. QEMU knows that it stands still, so a new
daemon asks QEMU. Room is looked for only while a branch waits for it.
"""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from functools import partial

from core.catalog_values import BranchRow
from core.engine.context import Engine
from core.engine.live import Live
from core.engine.start import set_paused
from core.errors import VertuiError
from core.model import BranchState
from core.room import MARGIN_BYTES, free_bytes, no_room, shortage

LOOK_EVERY_S = 1.0
ROOM_BYTES = 16 << 20  # beside the reserve, before a branch goes on: less would be gone at once
LONGEST_WAIT_S = 60.0  # between two tries of one that stops again at once: free room says nothing of a quota
SETTLED_S = 10.0  # when it ran so long before it stopped, it is a new case

logger = logging.getLogger(__name__)


@dataclass
class _Stalled:
    """A branch that stands still: when it is tried again, and how long it waits should it stop at once."""

    live: Live
    due: float
    pause_s: float


class Stalls:
    """The branches of a home that wait for room."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: dict[str, _Stalled] = {}
        self._tried: dict[str, tuple[float, float]] = {}  # when each last went on, and its pause
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking: dict[str, asyncio.Task[None]] = {}  # by branch
        self._watching: asyncio.Task[None] | None = None

    def met(self, machine: str) -> None:
        """A machine said that it could not write its disk and stopped."""
        task = asyncio.create_task(self._met(machine))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def found(self, live: Live) -> None:
        """A machine of an earlier daemon, or one met now, stands still."""
        live.stall.set()
        if live.branch:
            went_on, pause_s = self._tried.get(live.branch, (0.0, 0.0))
            again = time.monotonic() - went_on < SETTLED_S
            pause_s = min(2 * pause_s, LONGEST_WAIT_S) if again else LOOK_EVERY_S
            waiting = self._waiting[live.branch] = _Stalled(live, time.monotonic() + pause_s, pause_s)
            self._say(waiting)
            if self._watching is None or self._watching.done():
                self._watching = asyncio.create_task(self._watch())

    async def resume(self, live: Live) -> BranchRow:
        """Let one go on now. NoRoom, and it stands still as before, when it could write nothing."""
        if not self._room():
            raise no_room("the branch to go on", self._engine.home.root, self._needed())
        await self._go_on(live)
        return self._engine.catalog.branch(live.branch)

    async def stop(self) -> None:
        """Look no more: the daemon ends, the machines go on standing still."""
        tasks = [*self._tasks, *self._looking.values(), *([self._watching] if self._watching else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _met(self, machine: str) -> None:
        lives = [
            *self._engine.machines.live.values(),
            *([self._engine.machines.booting] if self._engine.machines.booting else []),
        ]
        for live in lives:
            with contextlib.suppress(VertuiError):
                if live.machine.id == machine and await live.machine.is_stalled():
                    self.found(live)

    def _say(self, waiting: _Stalled) -> None:
        """Write into the catalog that a branch stands still, and why. When that fails it is tried again. A branch that
        is only starting is left as it is.
        """
        reason = f"disk full: {shortage(self._engine.home.root, self._needed())}"
        if waiting.pause_s > LOOK_EVERY_S and self._room():
            reason = "its disk cannot be written, by a quota or a fault of the host's disk: tried again"
        with contextlib.suppress(VertuiError):
            row = self._engine.catalog.branch(waiting.live.branch)
            if row.state in (BranchState.RUNNING, BranchState.PAUSED) and row.reason != reason:
                quiesced = waiting.live.paused and waiting.live.quiesced
                self._engine.set_branch(row.id, state=BranchState.PAUSED, reason=reason, quiesced=quiesced)

    async def _watch(self) -> None:
        while self._waiting:
            await asyncio.sleep(LOOK_EVERY_S)
            for branch, waiting in list(self._waiting.items()):
                if waiting.live.ended or waiting.live.closing:
                    self._waiting.pop(branch, None)
                elif branch not in self._looking:  # a silent guest keeps no other waiting
                    task = self._looking[branch] = asyncio.create_task(self._look(waiting))
                    task.add_done_callback(partial(self._looked, branch))

    def _looked(self, branch: str, _: asyncio.Task[None]) -> None:
        del self._looking[branch]

    async def _look(self, waiting: _Stalled) -> None:
        try:
            if not self._room():
                self._say(waiting)
            elif time.monotonic() >= waiting.due:
                await self._go_on(waiting.live)
        except Exception:  # it is tried again
            logger.exception("a branch that waits for room")

    async def _go_on(self, live: Live) -> None:
        """Continue a machine, and finish in its guest what an earlier daemon may have left undone. When that fails it
        stands still as before. One that was paused as well stays paused.
        """
        async with live.lock:
            waiting = self._waiting.pop(live.branch, None)
            if waiting is None or live.ended:
                return
            self._tried[live.branch] = time.monotonic(), waiting.pause_s
            live.stall.clear()  # first of all: it may stand still again at once
            try:
                await self._continue(live)
            except Exception:
                if not live.ended:
                    self.found(live)
                raise

    async def _continue(self, live: Live) -> None:
        if live.paused:
            set_paused(self._engine, live)
            return
        await live.machine.cont()
        live.correct_clock()
        if self._engine.catalog.branch(live.branch).state is BranchState.PAUSED:
            self._engine.set_branch(live.branch, state=BranchState.RUNNING, reason="")
            with contextlib.suppress(VertuiError):
                await live.agent()
                await live.thaw()
            await asyncio.to_thread(live.network.set_link, True)

    def _needed(self) -> int:
        """What must be free before they go on: the reserve comes first."""
        reserve = self._engine.reserve
        return ROOM_BYTES if reserve.whole else reserve.size_bytes + MARGIN_BYTES

    def _room(self) -> bool:
        """Is there enough room beside the reserve? The reserve, a file of zeros, can never be whole on a filesystem
        that compresses; there its size must be free as well.
        """
        reserve = self._engine.reserve
        beside = 0 if reserve.take_back() else reserve.size_bytes + MARGIN_BYTES
        return free_bytes(self._engine.home.root) >= beside + ROOM_BYTES
