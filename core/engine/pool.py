"""The pool: started machines for the next fork, and spares of commits likely to be forked, made when no verb runs.

What is wanted follows from the trunk, the last fork and the settings alone. Each step of the work makes or ends one
machine, and between steps a verb goes first. None of these machines has a row: when a daemon dies, the recovery of the
next one ends them.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from core.engine import settings
from core.engine.context import Engine
from core.engine.live import Live
from core.engine.members import Warm
from core.engine.memory import available_bytes, pss_bytes
from core.engine.start import load_warm, source_of
from core.engine.warm import end_warm, start_warm
from core.errors import NotFound, VertuiError
from core.model import PAGE_BYTES, BranchState, Commit, CommitState, Image, Origin, Waiting

MACHINES_AFTER_S = 0.05  # since the last verb: clients that send one after the other must not wait for it
SPARES_AFTER_S = 0.4  # a head that is about to be replaced by the next is not worth loading
LOOK_EVERY_S = 5.0  # memory may run short though no verb did anything
AGAIN_AFTER_S = 30.0  # for a commit on which none could be started
MOST_OWNED = (32 << 20) // PAGE_BYTES  # pages, of each machine that waits: eight take 256 MiB at most
MARGIN_BYTES = 256 << 20  # above the floor before one is made: else each would be ended by the next look

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PoolTarget:
    """How many should wait, most wanted first: started machines by base, spares by commit."""

    machines: dict[str, int]
    spares: dict[str, int]
    images: dict[str, Image]
    """Of both."""
    parents: dict[str, Live]
    """Whose children would start on a base."""


class Pool:
    """Keeps an engine's members as they are wanted."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._members = engine.machines.members
        self._refused: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the background."""
        self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """End the pool and every machine in it: nobody could find them again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*(end_warm(self._engine, warm) for warm in list(self._members)))
        await self._engine.machines.reaping.done()

    async def _keep(self) -> None:
        while True:
            self._members.changed.clear()
            wait_s = await self._step()
            if wait_s:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):  # wait_for loses a cancel that comes with the change
                        await self._members.changed.wait()

    async def _step(self) -> float:
        """End or make one machine; how long to wait before the next step, in seconds."""
        quiet_s = self._engine.verbs.quiet_s()
        if quiet_s < MACHINES_AFTER_S:
            return MACHINES_AFTER_S - quiet_s
        wanted = wanted_by(self._engine)
        left = available_bytes() - (settings.value(self._engine, "pool.floor-mib") << 20)
        self._members.roomy = left > MARGIN_BYTES
        late = quiet_s >= SPARES_AFTER_S
        if (ended := _surplus(self._members.waiting, wanted, late=late, short=left < 0)) is not None:
            await end_warm(self._engine, ended)
            return 0.0
        if not self._members.roomy:
            return LOOK_EVERY_S
        if base := self._missing(wanted.machines, (w.base for w in self._members.waiting if not w.commit)):
            await self._make(base, wanted.images[base], wanted.parents.get(base))
            return 0.0
        if commit := self._missing(wanted.spares, (w.commit for w in self._members.waiting)):
            if not late:
                return SPARES_AFTER_S - quiet_s
            await self._make(commit, wanted.images[commit], spare=True)
            return 0.0
        return LOOK_EVERY_S

    def _missing(self, wanted: dict[str, int], waiting: Iterable[str | None]) -> str | None:
        """The first of which there are too few, and that was not refused a little while ago."""
        now, there = time.monotonic(), Counter(waiting)
        lacking = (key for key, count in wanted.items() if there[key] < count)
        return next((key for key in lacking if self._refused.get(key, 0.0) < now), None)

    async def _make(
        self, commit: str, image: Image, parent: Live | None = None, *, spare: bool = False
    ) -> None:
        """Make one more machine on a commit's memory: a spare loaded with that commit, or one prepared for what
        `parent` has changed. If it fails, it is tried again later.
        """
        number = self._engine.free_number()
        self._members.reserved.add(number)
        try:
            warm = await start_warm(self._engine, image, commit, number)
            if spare:
                await load_warm(self._engine, warm, source_of(self._engine, commit))
                warm.commit = commit
            elif parent is not None:
                await self._expect(warm, parent)
            self._members.give_back([warm])
        except VertuiError as error:
            logger.warning("no machine waits on commit %s: %s", commit[:12], error)
            self._refused[commit] = time.monotonic() + AGAIN_AFTER_S
        finally:
            self._members.reserved.discard(number)

    async def _expect(self, warm: Warm, parent: Live) -> None:
        """Give a machine its own copies of the pages that a child of this parent would be given, or of many of them. On
        failure the machine is ended.
        """
        try:
            await warm.machine.own((await parent.machine.changed_pages())[:MOST_OWNED])
        except BaseException:
            await end_warm(self._engine, warm)
            raise


def wanted_by(engine: Engine) -> PoolTarget:
    """What the trunk, the last fork and the settings want."""
    last = engine.machines.members.last_fork
    trunk = engine.catalog.setting("trunk")
    mapped = [
        engine.machines.live[branch]
        for branch in (trunk, last and last.branch)
        if branch in engine.machines.live
    ]
    parents = {live.base: live for live in mapped if live.base}
    bases = {base: engine.catalog.branch(live.branch).image for base, live in parents.items()}
    heads = [engine.catalog.branch(trunk).head] if trunk and not _suspended(engine, trunk) else []
    likely = _forkable(engine, [*(image.golden for image in engine.catalog.images()[-1:]), *heads])
    forked = _forkable(engine, [last.commit] if last else [])
    if last and last.branch not in engine.machines.live:
        bases |= forked
    share = -(-settings.value(engine, "pool.machines") // max(len(bases), 1))
    spares = settings.value(engine, "pool.spares")
    images = {image.id: image for image in engine.catalog.images()}
    of = bases | likely | forked
    return PoolTarget(
        dict.fromkeys((base for base, image in bases.items() if image in images), share),
        dict.fromkeys(forked | likely, spares),
        {commit: images[image] for commit, image in of.items() if image in images},
        parents,
    )


def _suspended(engine: Engine, branch: str) -> bool:
    """Then nothing is to be in memory for it."""
    return engine.catalog.branch(branch).state is BranchState.SUSPENDED


def _forkable(engine: Engine, commits: list[str]) -> dict[str, str]:
    """Those of the commits that can be forked, each with its image."""
    found: dict[str, str] = {}
    for commit in commits:
        with contextlib.suppress(NotFound):
            row = engine.catalog.commit(commit)
            deleted = engine.catalog.deleted_at(commit) is not None
            if _starts(row) and not deleted:
                found[commit] = row.image
    return found


def _starts(commit: Commit) -> bool:
    return commit.state is CommitState.SEALED and commit.quiesced and commit.origin is not Origin.FOREIGN


def _surplus(waiting: list[Warm], wanted: PoolTarget, *, late: bool, short: bool) -> Warm | None:
    """A machine that should go: one that is not wanted, or any when memory is short, spares first."""
    if short:
        return next((warm for warm in waiting if warm.commit), next(iter(waiting), None))
    machines, spares = Counter[str](), Counter[str]()
    for warm in waiting:
        if warm.commit is None:
            machines[warm.base] += 1
            if machines[warm.base] > wanted.machines.get(warm.base, 0):
                return warm
        elif late:
            spares[warm.commit] += 1
            if spares[warm.commit] > wanted.spares.get(warm.commit, 0):
                return warm
    return None


def waiting(engine: Engine, looked: dict[str, int] | None = None) -> Waiting:
    """What waits, and what it takes. Blocks for a millisecond for each machine, unless `looked` has its bytes by its
    id, where they are added.
    """
    found, looked = list(engine.machines.members.waiting), {} if looked is None else looked
    spares = sum(warm.commit is not None for warm in found)
    for warm in found:
        if warm.machine.id not in looked:
            looked[warm.machine.id] = pss_bytes(warm.machine.pid)
    memory = sum(looked[warm.machine.id] for warm in found)
    return Waiting(len(found) - spares, spares, memory, len(engine.machines.members.reserved))
