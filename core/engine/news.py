"""What listeners are told of the tree: the values, as they are now, of all that was written since they were told last.

The catalog reports every row that a transaction writes, so that no verb has to. What machines take is looked at from
time to time, and only while somebody listens; what is told in between is what was seen then.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from core.engine import links
from core.engine.attempts import tell_refused
from core.engine.context import Engine
from core.engine.egress import traffic
from core.engine.glance import glance
from core.engine.inspect import Looks, branch, images
from core.engine.pool import waiting
from core.errors import NotFound
from core.graph import touched
from core.inward import PublishedPort
from core.model import Branch, BranchState, Changed, Commit, Image, Waiting

GATHER_S = 0.03  # what is written within this time is told together
FIGURES_S = 2.0  # between looks at what machines take, when a look takes no time
FIGURES_SHARE = 0.002  # of a processor, for such looks
BUSY_SHARE = 0.02  # of one while a machine is at work: then there is something to see
UNSEEN = ("operations", "past")  # tables of which the tree shows nothing
BUSY_PERCENT = 10  # of a core, from which a machine counts as being at work


class Announcer:
    """Tells listeners until it is cancelled."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._written: set[tuple[str, str]] = set()
        self._moment = 0  # what was true then has been told
        self._wakes = asyncio.Event()
        self._figures: dict[str, tuple[object, ...]] = {}
        self._looked: Looks = {}
        self._looked_waiting: dict[str, int] = {}
        self._waiting = Waiting()
        self._ports: tuple[PublishedPort, ...] | None = None
        self._linked: Mapping[str, tuple[str, ...]] = {}
        engine.catalog.on_written = self._note

    async def tell(self) -> None:
        """For ever: tell what was written, and now and then what machines take."""
        pause, looked = FIGURES_S, time.monotonic()
        while True:
            try:
                async with asyncio.timeout(max(looked + pause - time.monotonic(), 0)):
                    await self._wakes.wait()
                await asyncio.sleep(GATHER_S)
                await self._tell_written()
            except TimeoutError:
                self._looked, self._looked_waiting = {}, {}
                if self._engine.events.watched:
                    began = time.process_time()
                    share = BUSY_SHARE if await self._tell_figures() else FIGURES_SHARE
                    pause = max(FIGURES_S, (time.process_time() - began) / share)
                looked = time.monotonic()

    def _note(self, written: set[tuple[str, str]]) -> None:
        if self._engine.events.listened and any(table not in UNSEEN for table, _ in written):
            self._written |= written
            self._wakes.set()

    async def _tell_written(self) -> None:
        written, self._written = self._written, set()
        self._moment = self._engine.catalog.moment
        self._wakes.clear()
        keys = {table: {key for name, key in written if name == table} for table, _ in written}
        branches, gone = await self._branches(keys.get("branches", set()) | self._linked_otherwise())
        commits, hidden = self._commits(keys.get("commits", set()))
        changed_images = images(self._engine) if "images" in keys else None
        await self._publish(branches, commits, changed_images, (*gone, *hidden))

    async def _tell_figures(self) -> bool:
        """Look what machines take and do, and tell what changed; whether any is at work."""
        live = self._engine.machines.live
        rows = [row for row in self._engine.catalog.branches() if row.id in live]
        running = [live[row.id] for row in rows if row.state is BranchState.RUNNING]
        await asyncio.gather(*map(glance, running))
        counted = await traffic(self._engine)
        await tell_refused(self._engine, counted)
        linked = links.shown(self._engine)
        shown = [
            await branch(self._engine, row, counted=counted, linked=linked, looked=self._looked)
            for row in rows
        ]
        other = [one for one in shown if self._figures.get(one.id) != _figures(one)]
        ready = await asyncio.to_thread(waiting, self._engine, self._looked_waiting)
        if other or _seen(ready) != _seen(self._waiting) or self._engine.tasks.ports.shown() != self._ports:
            await self._publish(other, (), None, ())
        return any(one.cpu_percent >= BUSY_PERCENT for one in shown)

    async def _publish(
        self,
        branches: Iterable[Branch],
        commits: Iterable[Commit],
        images: tuple[Image, ...] | None,
        gone: tuple[str, ...],
    ) -> None:
        engine, shown = self._engine, tuple(branches)
        self._figures |= {one.id: _figures(one) for one in shown}
        self._waiting = await asyncio.to_thread(waiting, engine, self._looked_waiting)
        trunk = engine.catalog.name_of(engine.catalog.setting("trunk"))
        ports = engine.tasks.ports.shown()
        told, self._ports = None if ports == self._ports else ports, ports
        changed = Changed(shown, tuple(commits), images, gone, trunk, self._waiting, told, self._moment)
        engine.events.publish("tree", "", "", changed=changed)

    def _linked_otherwise(self) -> set[str]:
        """The branches that are linked with others than when this was asked last, or with such of other names."""
        before, self._linked = self._linked, links.shown(self._engine)
        return {id for id in before.keys() | self._linked if before.get(id) != self._linked.get(id)}

    async def _branches(self, ids: set[str]) -> tuple[list[Branch], list[str]]:
        """Of these branches, those that are shown, and the ids of those that are not. Their children are among them,
        for they show their parent's name.
        """
        shown, gone = [], []
        counted = await traffic(self._engine) if ids else {}
        children = [row.id for row in self._engine.catalog.branches() if row.parent_branch in ids]
        for id in {*ids, *children}:
            try:
                row = self._engine.catalog.branch(id)
            except NotFound:
                row = None
            if row is None or row.deleted is not None:
                gone.append(id)
                self._figures.pop(id, None)
            else:
                told = branch(self._engine, row, counted=counted, linked=self._linked, looked=self._looked)
                shown.append(await told)
        return shown, gone

    def _commits(self, ids: set[str]) -> tuple[list[Commit], list[str]]:
        """Of these commits, those that are shown, with their nearest kept ancestors, and the ids of those that are not.
        When one came into the trash or left it, its descendants have other such ancestors, and are among them.
        """
        if not ids:
            return [], []
        return touched(ids, self._engine.catalog.commits(), self._engine.catalog.commits(deleted=True))


def _figures(shown: Branch) -> tuple[object, ...]:
    """What a reader would see of them: two digits of each size, tenths of a core, the minutes it has been up, what it
    does.
    """
    sizes = (shown.memory_bytes, shown.changed_bytes, shown.disk_bytes, shown.traffic.bytes)
    busy = shown.cpu_percent // BUSY_PERCENT
    return *map(_two_digits, sizes), busy, shown.uptime_s // 60, shown.traffic.refused, shown.last


def _seen(told: Waiting) -> Waiting:
    return replace(told, memory_bytes=_two_digits(told.memory_bytes))


def _two_digits(size: int) -> int:
    return int(float(f"{size:.2g}"))
