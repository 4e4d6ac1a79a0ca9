"""Children that start together: their rows, their machines, and what became of each."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Self

from core.catalog_values import BranchRow
from core.cgroups import USUAL_WEIGHT
from core.engine import letting, scoring, settings, start
from core.engine.context import Engine, new_id
from core.engine.live import Live
from core.engine.members import Warm
from core.engine.spares import Running
from core.engine.start import StartState
from core.engine.tally import DoneCount
from core.engine.warm import end_warm
from core.errors import Damaged, VertuiError
from core.journal.entry import JournalExec
from core.model import BranchState, Child, Commit
from core.ports import PortSpec
from core.reach import Reach, without_groups


@dataclass(frozen=True)
class Terms:
    """What each child is given: what it may reach (as its parent may, without this), which of its ports are published,
    how long its command may take, and the rule that scores it (see `core.commands.Scoring`), if any.
    """

    reach: Reach | None = None
    ports: tuple[PortSpec, ...] = ()
    timeout_s: float | None = None
    score: str = ""


NO_TERMS = Terms()


@dataclass(frozen=True)
class Wanted:
    """What is asked for: names, the commands that children start with, by name, the operation that makes them (None for
    what is no fork), since when time is counted (`time.perf_counter`), and how they are scored, by name.
    """

    names: list[str]
    commands: Mapping[str, str]
    fork: int | None
    began: float
    terms: Terms = NO_TERMS
    rules: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Awake:
    """A child that was continued, and when: ms after it was asked for."""

    live: Live
    run_ms: float


Loaded = Sequence[Live | VertuiError]
Woken = Sequence[Awake | VertuiError]


@dataclass(frozen=True)
class Children:
    """The children of one verb. Their rows are written before their machines exist or are loaded, so that what a crash
    leaves can be recognized and removed.
    """

    engine: Engine
    wanted: Wanted
    rows: list[BranchRow]
    tally: DoneCount

    @classmethod
    def to_load(
        cls, engine: Engine, wanted: Wanted, source: StartState, commit: str, parent: BranchRow | None
    ) -> Self:
        """Children of a commit, to be loaded from a source; machines that wait for such children are claimed."""
        waiting = engine.machines.members.claim(source.image, source.base, commit, len(wanted.names))
        try:
            rows = _write_rows(engine, wanted, source.image.id, source.base, commit, parent, waiting)
        except BaseException:
            engine.machines.members.give_back(waiting)
            raise
        return cls(engine, wanted, rows, _tally(engine, wanted, 2))

    @classmethod
    def that_run(
        cls, engine: Engine, wanted: Wanted, commit: Commit, parent: BranchRow | None, ready: list[Running]
    ) -> Self:
        """Children of a commit whose machines run already."""
        spares = [one.warm for one in ready]
        rows = _write_rows(engine, wanted, commit.image, commit.id, commit.id, parent, spares)
        return cls(engine, wanted, rows, _tally(engine, wanted, 1))

    async def load(self, source: StartState) -> Loaded:
        """A loaded machine for each child, or the error that says why there is none. When no child could be loaded, the
        first error is raised.
        """
        loaded = await asyncio.gather(*(self._loaded(row, source) for row in self.rows))
        failures = [live for live in loaded if isinstance(live, VertuiError)]
        if len(failures) == len(loaded):
            raise failures[0]
        return loaded

    async def run(self, loaded: Loaded) -> Woken:
        """Continue the loaded machines. All are loaded before the first runs, because one that runs takes the processor
        from those that load.
        """
        return await asyncio.gather(*map(self._run, loaded))

    def give(self, ready: list[Running]) -> Woken:
        """Give machines that run already to the children."""
        return [
            Awake(start.give(self.engine, row, one.warm), one.run_ms)
            for row, one in zip(self.rows, ready, strict=True)
        ]

    async def make_distinct(
        self, awake: Woken, committing: asyncio.Task[Commit] | None = None
    ) -> tuple[Child, ...]:
        """Make the children distinct and start the command in each. Returns what became of each, with the reason where
        one failed.

        Before their commit is there, nothing but their agents runs.
        """
        told = (self._distinct(row, found, committing) for row, found in zip(self.rows, awake, strict=True))
        return tuple(await asyncio.gather(*told))

    async def discard(self) -> None:
        """Remove them all: the fork failed as a whole."""
        engine = self.engine
        for row in self.rows:
            claimed = engine.machines.members.claimed.get(row.machine or "")
            if claimed:
                await end_warm(engine, claimed)
            live = engine.machines.live.get(row.id)
            if live:
                await start.end(engine, live)
            engine.catalog.delete_branch(row.id)
            engine.events.publish("branch", row.name, f"{row.name} was not started")

    async def _loaded(self, row: BranchRow, source: StartState) -> Live | VertuiError:
        try:
            return await start.load(self.engine, row, source)
        except VertuiError as error:
            damage = self.engine.damage((source.base, source.disk_base))
            return Damaged(damage) if damage else error
        finally:
            self.tally.one()

    async def _run(self, live: Live | VertuiError) -> Awake | VertuiError:
        if isinstance(live, VertuiError):
            return live
        try:
            await start.run(self.engine, live)
        except VertuiError as error:
            return error
        return Awake(live, self._since_ms())

    async def _distinct(
        self, row: BranchRow, found: Awake | VertuiError, committing: asyncio.Task[Commit] | None
    ) -> Child:
        if isinstance(found, VertuiError):
            return self._failed(row, str(found))
        live = found.live
        try:
            await start.make_distinct(self.engine, live, row, committing, quiesced=True)
            fork_ms = self._since_ms()
            await letting.settle(self.engine, row, self.wanted.terms.reach)
            await self._start_command(live, row)
        except VertuiError as error:
            await start.end(self.engine, live)
            damage = self.engine.damage((live.base or "", live.machine.disk_base))
            return self._failed(row, damage or str(error))
        finally:
            self.tally.one()
        return Child(row.name, True, "", live.network.info.address, round(found.run_ms, 2), round(fork_ms, 2))

    async def _start_command(self, live: Live, row: BranchRow) -> None:
        """It ends by itself, or by its time limit, and scores the child then if it is to."""
        if not (command := self.wanted.commands.get(row.name)):
            return
        started = await (await live.agent()).exec(command, timeout_s=self.wanted.terms.timeout_s)
        await started.detach()
        live.may_work = True
        self.engine.acting.acts(row.id)
        live.begun = JournalExec((command,), started.id, left=True)
        if rule := self.wanted.rules.get(row.name):
            scoring.expect(self.engine, row.id, started.id, rule)

    def _failed(self, row: BranchRow, reason: str) -> Child:
        self.engine.set_branch(row.id, state=BranchState.FAILED, reason=reason, machine=None)
        return Child(row.name, False, reason)

    def _since_ms(self) -> float:
        return (time.perf_counter() - self.wanted.began) * 1000


def listed(names: Sequence[str]) -> str:
    """In short."""
    return f"{names[0]}…{names[-1]}" if len(names) > 1 else names[0]


def _tally(engine: Engine, wanted: Wanted, steps: int) -> DoneCount:
    """Each child is loaded, unless it runs already, and made distinct."""
    return DoneCount(engine, f"starting {listed(wanted.names)}", steps * len(wanted.names))


def _write_rows(
    engine: Engine, wanted: Wanted, image: str, base: str, commit: str, parent: BranchRow | None,
    waiting: list[Warm],
) -> list[BranchRow]:  # fmt: skip
    """Write the children's rows. The first of them get the numbers and machines of those that wait, the others new
    ones.
    """
    rows, parent_id = [], parent.id if parent else None
    reach = parent.egress if parent else settings.reach(engine, image)
    if wanted.terms.reach is not None:
        reach = without_groups(wanted.terms.reach)  # its guest says what they are, once it runs
    with engine.catalog.transaction():
        for name, warm in zip_longest(wanted.names, waiting):
            number = warm.network.index if warm else engine.free_number()
            rows.append(
                BranchRow(
                    new_id(), name, BranchState.STARTING, "", image, commit, commit, parent_id, time.time(),
                    number, wanted.fork, warm.machine.id if warm else new_id(), base=base, egress=reach,
                    weight=parent.weight if parent else USUAL_WEIGHT, idle_s=parent.idle_s if parent else 0,
                    policy=parent.policy if parent else None,
                )
            )  # fmt: skip
            engine.catalog.put_branch(rows[-1])
    for row in rows:
        engine.events.publish("branch", row.name, f"{row.name} is starting")
    return rows
