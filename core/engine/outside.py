"""The way out, while some branch needs it: `pasta`, a job of the porter's that outlives this daemon.

It ends when the last descriptor of its status goes (`core.holder.porter`). The holder keeps one: by that it is found
again, and ended by dropping it.
"""

import asyncio
import logging
import os
import select
import time
from collections.abc import Callable
from pathlib import Path

from core.engine.context import Engine
from core.errors import DaemonUnavailable, Unsupported, VertuiError
from core.files import file_bytes
from core.holder.environment import private
from core.holder.porter import KEY as PORTER
from core.holder.porter import run_job, start_job
from core.network import way_out
from core.network.ties import is_address
from core.patience import patient
from core.python import program
from core.reach import ReachMode

KEY = "egress"
COMES_S, GOES_S = patient(10.0), patient(5.0)  # it takes 50 ms on a machine that does nothing else
LOOK_S = 0.005
LONGEST_SAID = 64 * 1024
AGAIN_S = 5.0  # until one that does not come up is tried again

logger = logging.getLogger(__name__)


class Pasta:
    """The way out of an engine's hub."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changed = asyncio.Event()
        self._lock = asyncio.Lock()
        self._status: int | None = None

    def settle(self) -> None:
        """Branches have come or gone, or may reach something else: see whether it is needed still."""
        self._changed.set()

    async def open(self) -> None:
        """Have it, before a branch may reach anything. Unsupported says why there is none."""
        async with self._lock:
            await self._find()
            if self._status is None:
                await self._start()

    async def watch(self) -> None:
        """For ever: keep it while it is needed, and end it when it is not."""
        wait_s: float | None = None
        while True:
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            wait_s = None
            try:
                await (self.open() if self._is_needed() else self._end())
            except VertuiError as error:
                logger.warning("%s", error)
                self._engine.events.publish("branch", "", str(error))
                wait_s = AGAIN_S

    def leave(self) -> None:
        """Let go of it: the daemon ends, the way out does not."""
        self._forget()

    def _is_needed(self) -> bool:
        rows = self._engine.catalog.branches()
        return any(
            row.id in self._engine.machines.live and row.egress.mode is not ReachMode.OFF for row in rows
        )

    async def _find(self) -> None:
        """The one that runs, maybe since an earlier daemon."""
        if self._status is not None and _has_ended(self._status):
            self._forget()
        if self._status is None:
            status = await asyncio.to_thread(self._engine.held.get, KEY)
            if status is not None and _has_ended(status):
                os.close(status)
            elif status is not None:
                self._know(status)

    async def _start(self) -> None:
        held, log = self._engine.held, self._engine.home.log / f"{KEY}.log"
        said_before = file_bytes(log)
        porter = await asyncio.to_thread(held.get, PORTER)
        if porter is None:
            raise DaemonUnavailable("the porter is gone: run `vertui daemon stop --all` and start again")
        try:
            status = await asyncio.to_thread(_begin, porter, held.holdings().pid, log)
            self._know(status)
            await asyncio.to_thread(held.keep, KEY, status)
            here = [line async for line in run_job(porter, program("core.network.here"))]
        finally:
            os.close(porter)
        await asyncio.to_thread(self._engine.network.shield, [line for line in here if is_address(line)])
        if not await self._becomes(way_out.is_there, COMES_S):
            await self._let_go()
            said = _said(log, said_before)
            raise Unsupported(
                f"there is no way out for branches ({said}): is pasta there? apt-get install passt"
            )

    async def _becomes(self, reached: Callable[[], bool], within_s: float) -> bool:
        end = time.monotonic() + within_s
        while not (there := reached()) and time.monotonic() < end:
            if self._status is not None and _has_ended(self._status):
                break
            await asyncio.sleep(LOOK_S)
        return there

    async def _end(self) -> None:
        async with self._lock:
            await self._find()
            if self._status is not None:
                await self._let_go()

    async def _let_go(self) -> None:
        self._forget()
        await asyncio.to_thread(self._engine.held.drop, KEY)
        await self._becomes(lambda: not way_out.is_there(), GOES_S)

    def _know(self, status: int) -> None:
        self._status = status
        asyncio.get_running_loop().add_reader(status, self._ended)

    def _forget(self) -> None:
        if self._status is not None:
            asyncio.get_running_loop().remove_reader(self._status)
            os.close(self._status)
            self._status = None

    def _ended(self) -> None:
        """It ended by itself: another takes its place."""
        if self._status is not None:
            asyncio.get_running_loop().remove_reader(self._status)
        self._changed.set()


def _begin(porter: int, holder: int, log: Path) -> int:
    """Start it; what its status can be read from."""
    as_root = way_out.is_root()
    hub = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with open(log, "ab", opener=private) as output:
            given = [hub] if as_root else []
            return start_job(porter, way_out.argv(holder, as_root=as_root), output.fileno(), *given)
    finally:
        os.close(hub)


def _said(log: Path, since: int) -> str:
    """The last that pasta said, but for that it has nobody to say it to."""
    with log.open("rb") as file:
        file.seek(since)
        lines = file.read(LONGEST_SAID).decode(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line and "syslog" not in line), "pasta says nothing")


def _has_ended(status: int) -> bool:
    """Its exit status can be read, or nobody will write it."""
    poll = select.poll()
    poll.register(status, select.POLLIN)
    return bool(poll.poll(0))
