"""Recover: a branch from its last commit and, if that is asked for, the journal after it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from core.catalog_values import BranchRow
from core.engine import cold, inspect
from core.engine.change import Change
from core.engine.changes import apply, check_started
from core.engine.context import Engine
from core.engine.fate import followed
from core.engine.journals import AUTHOR, with_its_own
from core.engine.operations import RunningOperation, operation
from core.engine.replay import Replay, Replayable, ahead, replayable
from core.engine.start import start_again
from core.engine.tally import DoneCount
from core.errors import Conflict
from core.journal.entry import EntryKind, JournalEntry, NewEntry, Ranges
from core.journal.recovered import STOPPED, Recovered, ReplayStep, StepEnd
from core.model import BranchState, Commit
from core.startable import nearest_kept

MOST_SHOWN = 200  # entries; `journal show` has them all


@dataclass(frozen=True)
class WayBack:
    """How a branch is brought back: the commit it starts from, and what its journal has after that."""

    row: BranchRow
    start: Commit
    found: Replayable
    after: tuple[JournalEntry, ...]
    left_out: int


async def recover(
    engine: Engine, request_id: str, name: str, *, replay: bool, outputs: bool, dry_run: bool
) -> Recovered:
    """Start a branch from its head, or the nearest of that's ancestors that is not gone; with `replay` run again what
    the journal has after that, up to the first command that ends otherwise, or with `outputs` prints something else.

    A machine that it has is committed first, and undo brings that back. On failure the branch is as it was, unless its
    machine ends in the middle of a replay: then it is lost, and can be recovered again. What stops a replay is no
    failure.
    """
    row = engine.branch(name)
    check_started(row)
    way = await _way(engine, row)
    if dry_run:
        chain = engine.journals.chain(row.id)
        steps = (
            await asyncio.to_thread(lambda: tuple(ahead(chain, way.found, way.start.created)))
            if replay
            else ()
        )
        return await _answer(engine, way, dry_run=True, steps=steps)
    summary = f"recover {row.name} from {way.start.id[:12]}"
    replayed, wakes = row if replay else None, [row.id] if row.state is BranchState.SUSPENDED else []
    async with operation(engine, request_id, "recover", summary, wakes=wakes, replayed=replayed) as record:
        await _bring_back(engine, way, record, lost=replay)
        taken_up, steps = await _replayed(engine, way, outputs=outputs) if replay else ((), ())
        if replay:
            record.summary = f"{summary}: {_summed(steps)}"
    engine.events.publish("branch", row.name, record.summary)
    return await _answer(engine, way, steps=steps, taken_up=taken_up)


async def recover_disk(engine: Engine, request_id: str, name: str) -> Recovered:
    """Boot a branch that has no machine from its crash disk. On failure it stays as it was."""
    row = await cold.boot_cold(engine, request_id, name)
    branch, head = await inspect.branch(engine, row), engine.catalog.commit(row.head)
    return Recovered(branch, head.id, head.message, dry_run=False, from_crash_disk=True)


async def _way(engine: Engine, row: BranchRow) -> WayBack:
    start = nearest_kept(row.head, engine.commits())
    if start is None:
        raise Conflict(
            f"no commit that {row.name} could start from is left: `vertui prune {row.name}` removes it"
        )
    journals = engine.journals
    await journals.writer.flush([row.id])
    chain, seen = journals.chain(row.id), journals.seen(row.id, start)
    seen = await asyncio.to_thread(with_its_own, chain, seen, start.id)
    tip = journals.writer.open(row.id).durable
    found = await asyncio.to_thread(replayable, chain, seen, tip.mark, tip.seq)
    after = list[JournalEntry]()
    async for some in journals.show(row.id, seen + 1, MOST_SHOWN, whole=False, follow=False):
        after += some
    return WayBack(row, start, found, tuple(after), max(0, tip.seq - seen - MOST_SHOWN))


async def _bring_back(engine: Engine, way: WayBack, record: RunningOperation, *, lost: bool) -> None:
    """Have the branch run from the commit, whether it has a machine now or not. What that had done is `lost` where it
    is to be replayed: also by who recovers the branch again, should its machine or the daemon end in the middle of it.
    """
    row, start = way.row, way.start
    if row.id in engine.machines.live:
        async with engine.verbs.changing:
            record.inverse = await apply(engine, Change(back={row.id: start.id}), lost=lost)
        return
    if start.id != row.head:
        engine.catalog.change_branch(row.id, head=start.id)
    with engine.journals.beginning(row.id):
        try:
            await start_again(engine, engine.catalog.branch(row.id))
        except BaseException:
            engine.catalog.change_branch(row.id, head=row.head)
            raise
        await engine.journals.went_back(row.id, start, how="recovered from", always=False, lost=True)


async def _replayed(
    engine: Engine, way: WayBack, *, outputs: bool
) -> tuple[tuple[ReplayStep, ...], tuple[ReplayStep, ...]]:
    """Run the commands again, and write down which entries are not tried any more. Nothing is committed meanwhile by
    itself: half of a replay is nobody's work. When the machine ends meanwhile, all that was is to be run again.
    """
    row = way.row
    tally = DoneCount(engine, f"replaying {row.name}", len(way.found.commands))
    chain = engine.journals.chain(row.id)
    try:
        with engine.acting.apart(row.id):
            async with followed(engine, row.name) as live:
                again = Replay(engine, live, row.name, chain, way.found, outputs, tally.one)
                taken_up = await again.take_up()
                steps = await again.run()
    finally:
        tally.end()
    if way.found.last > way.found.seen:
        await _write_down(engine, way, steps)
    return taken_up, steps


async def _write_down(engine: Engine, way: WayBack, steps: tuple[ReplayStep, ...]) -> None:
    """What the machine has now: all that was replayed, and nothing from the step on at which that stopped."""
    stopped = next((step for step in steps if step.end in STOPPED), None)
    tries, last = way.found.tries, way.found.last
    if stopped:
        tries = merged((*tries, (stopped.seq, last)))
    said = [f"replayed on {way.start.id[:12]}: {_summed(steps)}"]
    said += [f"{step.seq} {step.end}: {step.why}" for step in steps if step.why]
    told = NewEntry(EntryKind.RESTORE, "\n".join(said), AUTHOR, way.start.id, tries=tries, lost=True)
    await engine.journals.append(way.row.id, [told])


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The same numbers, in order and each in one range."""
    found = list[tuple[int, int]]()
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return tuple(found)


def _summed(steps: tuple[ReplayStep, ...]) -> str:
    if not steps:
        return "nothing to replay"
    again = [step for step in steps if step.end not in (*STOPPED, StepEnd.CUT)]
    said = f"{len(again)} {'command' if len(again) == 1 else 'commands'} run again"
    if diverged := [str(step.seq) for step in again if step.end is StepEnd.DIVERGED]:
        said += f", diverged: {' '.join(diverged)}"
    if cut := [str(step.seq) for step in steps if step.end is StepEnd.CUT]:
        said += f", cut off: {' '.join(cut)}"
    return said if steps[-1].end not in STOPPED else f"{said}, stopped at {steps[-1].seq}: {steps[-1].why}"


async def _answer(
    engine: Engine,
    way: WayBack,
    *,
    dry_run: bool = False,
    steps: tuple[ReplayStep, ...] = (),
    taken_up: tuple[ReplayStep, ...] = (),
) -> Recovered:
    branch = await inspect.branch(engine, engine.catalog.branch(way.row.id))
    return Recovered(
        branch, way.start.id, way.start.message, dry_run, way.after, way.left_out, taken_up, steps
    )
