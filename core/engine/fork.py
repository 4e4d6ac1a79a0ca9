"""Up and fork: branches out of images, branches and commits."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import zip_longest

from core.catalog import BranchRow
from core.engine import start
from core.engine.capture import make_hot, shoot
from core.engine.change import Change
from core.engine.context import Engine, new_id
from core.engine.hot import Shot
from core.engine.live import Live
from core.engine.members import LastFork, Warm
from core.engine.memory import available_bytes
from core.engine.operations import operation
from core.engine.spares import Running, running
from core.engine.start import Source
from core.engine.transfer import check_trusted, trusted
from core.engine.warm import end_warm
from core.errors import Conflict, Damaged, NoRoom, UsageError, VertuiError
from core.model import BranchState, Child, Commit, Forked, check_name
from core.refs import Ref
from core.store.values import MEMORY

CHILD_BYTES = 60 * 1000 * 1000  # what a child takes besides its delta, after its first exec under emulation
MOST_CHILDREN = 1000
BUDGET_SHARE = 0.9  # of the memory the kernel calls available; the rest is for page cache and everybody else
LONGEST_NAME = 31
NOT_YET = ""  # the commit of children that are loaded before theirs is made; a crash removes them


@dataclass(frozen=True)
class _Awake:
    """A child that was continued, and when: ms after the fork was asked for."""

    live: Live
    run_ms: float


async def up(engine: Engine, request_id: str, image_name: str | None, name: str) -> BranchRow:
    """Start a branch from an image's golden commit; it becomes the trunk if there is none.

    Requires an image, a free and legal name, and room. On failure nothing is left.
    """
    image = engine.image(image_name)
    _check_names(engine, [name])
    await check_room(engine, 1)
    async with operation(engine, request_id, "up", f"up {name} from image {image.name}") as record:
        source = start.source_of(engine, image.golden)
        row = _rows(engine, None, [name], source, image.golden, None)[0]
        began = time.perf_counter()
        awake = await _run_all(engine, [await _loaded(engine, row, source)], began)
        [outcome] = await _all_distinct(engine, [row], awake, began, None)
        if not outcome.ok:
            engine.catalog.delete_branch(row.id)
            engine.publish("branch", name, f"{name} did not start")
            raise VertuiError(f"{name} did not start: {outcome.reason}")
        old_trunk = engine.catalog.setting("trunk")
        if old_trunk is None:
            engine.catalog.set_setting("trunk", row.id)
        record.inverse = Change(prune=(row.id,))
    return engine.catalog.branch(row.id)


async def fork(
    engine: Engine,
    request_id: str,
    ref: str,
    n: int,
    prefix: str | None,
    command: str | None,
    *,
    trust: bool = False,
    eager: bool = False,
) -> Forked:
    """Start N branches from one commit: a branch is committed first and runs on. `trust` lets a foreign one start.
    `eager` reads all memory of a stored commit before its children run, so that none of them waits for it later.

    Requires 1 ≤ N ≤ 1,000, free and legal names, a quiesced state, and memory for N × (delta + 60 MB). On success all
    children have run; one that fails is reported with its reason, marked failed, and leaves the others alone.
    On failure the parent runs on and nothing is left.
    """
    began = time.perf_counter()
    if not 1 <= n <= MOST_CHILDREN:
        raise UsageError(f"cannot fork {n} children: give a number from 1 to {MOST_CHILDREN}")
    found = engine.resolve(ref)
    names = _names(engine, found.branch, n, prefix)
    live = engine.live.get(engine.branch(found.branch).id) if found.branch else None
    heads: dict[str, str] = {}
    summary, intent = f"fork {ref} into {names[0]}…{names[-1]}", {"names": names}
    async with AsyncExitStack() as stack:
        ready = await stack.enter_async_context(running(engine, found.commit, 0 if live else n, began))
        if live is None and not ready:  # nothing waits on a commit that is not trusted
            engine.check_there(engine.catalog.commit(found.commit))
            check_trusted(trusted(engine, found.commit) if trust else engine.catalog.commit(found.commit))
        if not ready:
            await check_room(engine, n, live)
        record = await stack.enter_async_context(operation(engine, request_id, "fork", summary, intent))
        if live is not None:
            made, heads = await _fork_live(engine, record.id, live, names, command, began)
        elif ready:
            made = await _fork_ready(engine, record.id, found, names, command, began, ready)
        else:
            if eager:
                await engine.sealer.sealed(found.commit)  # a hot commit has no view
                await engine.views.hydrate(found.commit, MEMORY)
            made = await _fork_commit(engine, record.id, found, names, command, began)
        commit, children = made
        engine.members.last_fork = LastFork(live.branch if live else None, commit.id)
        ids = tuple(row.id for row in (engine.catalog.named(child.name) for child in children) if row)
        record.inverse = Change(prune=ids, heads=heads)
    pause = (commit.pause_ms, commit.felt_pause_ms) if live else (0.0, 0.0)
    return Forked(commit, children, record.id, *pause)


async def _fork_live(
    engine: Engine, fork: int, live: Live, names: list[str], command: str | None, began: float
) -> tuple[tuple[Commit, tuple[Child, ...]], dict[str, str]]:
    """Children of a branch as it is now, and the head that it had."""
    await engine.sealer.room(live)
    async with live.lock:
        row = engine.catalog.branch(live.branch)
        shot = await shoot(engine, live, row)
        try:
            with engine.needing(*shot.captured.needs):
                made = await _fork_shot(engine, fork, row, shot, names, command, began)
        finally:
            await shot.felt_ms
        return made, {row.id: row.head}


async def _fork_shot(
    engine: Engine,
    fork: int,
    parent: BranchRow,
    shot: Shot,
    names: list[str],
    command: str | None,
    began: float,
) -> tuple[Commit, tuple[Child, ...]]:
    """Children of a state still in RAM: it becomes a commit once they run, while they get their identities.

    To hash takes as long as to load, and all processors there are.
    """
    captured = shot.captured
    if not captured.quiesced:
        raise Conflict(
            f"{parent.name} could not be frozen, and an unquiesced state is not forkable: "
            f"{shot.unfrozen or 'its processes ran when it was paused'}"
        )
    source = start.source_in_ram(engine.image(captured.image), captured)
    message = f"fork into {names[0]}…{names[-1]}" if len(names) > 1 else f"fork into {names[0]}"
    rows = _rows(engine, fork, names, source, NOT_YET, parent.id)
    committing: asyncio.Task[Commit] | None = None
    try:
        engine.reach("fork.captured")
        loaded = await _load_all(engine, rows, source)
        engine.reach("fork.loaded")
        awake = await _run_all(engine, loaded, began)
        committing = asyncio.create_task(_committed(engine, parent, shot, message, rows))
        children = await _all_distinct(engine, rows, awake, began, command, committing)
        commit = await committing
        engine.sealer.shorten(commit.id, captured.layers)
        return commit, children
    except BaseException:
        made = (await asyncio.gather(committing, return_exceptions=True))[0] if committing else None
        await _discard(engine, rows)
        if isinstance(made, Commit):
            await engine.sealer.retract(parent.id, made.id, parent.head)
        raise


async def _committed(
    engine: Engine, parent: BranchRow, shot: Shot, message: str, rows: list[BranchRow]
) -> Commit:
    """The children's commit: hot, the parent's head, and what their rows name. Their processes run only once it is."""
    commit = await make_hot(engine, parent, shot, message)
    with engine.catalog.transaction():
        for row in rows:
            engine.catalog.change_branch(row.id, head=commit.id, parent=commit.id)
    engine.reach("fork.committed")
    return commit


async def _fork_commit(
    engine: Engine, fork: int, found: Ref, names: list[str], command: str | None, began: float
) -> tuple[Commit, tuple[Child, ...]]:
    """Children of a commit."""
    commit = engine.catalog.commit(found.commit)
    source = start.source_of(engine, commit.id)
    if not commit.quiesced:
        raise Conflict(
            f"commit {commit.id[:12]} is not quiesced: it restores its own branch, but is not forkable"
        )
    parent = engine.catalog.named(found.branch or commit.branch)
    with engine.needing(*source.needs):
        rows = _rows(engine, fork, names, source, commit.id, parent.id if parent else None)
        try:
            awake = await _run_all(engine, await _load_all(engine, rows, source), began)
            children = await _all_distinct(engine, rows, awake, began, command)
        except BaseException:
            await _discard(engine, rows)
            raise
    if source.layers:
        engine.sealer.shorten(commit.id, source.layers)
    return commit, children


async def _fork_ready(
    engine: Engine,
    fork: int,
    found: Ref,
    names: list[str],
    command: str | None,
    began: float,
    ready: list[Running],
) -> tuple[Commit, tuple[Child, ...]]:
    """Children that run already: written down, then made distinct."""
    commit = engine.catalog.commit(found.commit)
    parent = engine.catalog.named(found.branch or commit.branch)
    spares = [one.warm for one in ready]
    rows = _write_rows(
        engine, fork, names, commit.image, commit.id, commit.id, parent.id if parent else None, spares
    )
    try:
        engine.reach("fork.running")
        awake = [
            _Awake(start.give(engine, row, one.warm), one.run_ms)
            for row, one in zip(rows, ready, strict=True)
        ]
        return commit, await _all_distinct(engine, rows, awake, began, command)
    except BaseException:
        await _discard(engine, rows)
        raise


def _rows(
    engine: Engine, fork: int | None, names: list[str], source: Source, commit: str, parent: str | None
) -> list[BranchRow]:
    """The children's rows, written before their machines exist or are loaded: what a crash leaves can be told and
    removed. Machines that wait for such children are claimed here.
    """
    waiting = engine.members.claim(source.image, source.base, commit, len(names))
    try:
        return _write_rows(engine, fork, names, source.image.id, source.base, commit, parent, waiting)
    except BaseException:
        engine.members.give_back(waiting)
        raise


def _write_rows(
    engine: Engine, fork: int | None, names: list[str], image: str, base: str, commit: str, parent: str | None,
    waiting: list[Warm],
) -> list[BranchRow]:  # fmt: skip
    """Rows with the numbers and machines of those that wait, the rest with new ones."""
    rows = []
    with engine.catalog.transaction():
        for name, warm in zip_longest(names, waiting):
            number = warm.network.index if warm else engine.free_number()
            rows.append(
                BranchRow(
                    new_id(), name, BranchState.STARTING, "", image, commit, commit, parent, time.time(),
                    number, fork, warm.machine.id if warm else new_id(), base=base,
                )
            )  # fmt: skip
            engine.catalog.put_branch(rows[-1])
    for row in rows:
        engine.publish("branch", row.name, f"{row.name} is starting")
    return rows


async def _load_all(engine: Engine, rows: list[BranchRow], source: Source) -> list[Live | VertuiError]:
    """A loaded machine a row, or why there is none. When none could be loaded the fork as a whole fails."""
    loaded = await asyncio.gather(*(_loaded(engine, row, source) for row in rows))
    failures = [live for live in loaded if isinstance(live, VertuiError)]
    if len(failures) == len(loaded):
        raise failures[0]
    return loaded


async def _loaded(engine: Engine, row: BranchRow, source: Source) -> Live | VertuiError:
    try:
        return await start.load(engine, row, source)
    except VertuiError as error:
        damage = engine.damage((source.base, source.disk_base))
        return Damaged(damage) if damage else error


async def _run_all(
    engine: Engine, loaded: list[Live | VertuiError], began: float
) -> list[_Awake | VertuiError]:
    """All are loaded before the first runs: one that runs takes the processor from those that load."""

    async def one(live: Live | VertuiError) -> _Awake | VertuiError:
        if isinstance(live, VertuiError):
            return live
        try:
            await start.run(engine, live)
        except VertuiError as error:
            return error
        return _Awake(live, (time.perf_counter() - began) * 1000)

    return await asyncio.gather(*map(one, loaded))


async def _all_distinct(
    engine: Engine,
    rows: list[BranchRow],
    awake: Sequence[_Awake | VertuiError],
    began: float,
    command: str | None,
    committing: asyncio.Task[Commit] | None = None,
) -> tuple[Child, ...]:
    """Children awake and distinct, or failed with the reason; `command` is started in each.

    Nothing but their agents runs before their commit is there.
    """

    async def one(row: BranchRow, found: _Awake | VertuiError) -> Child:
        if isinstance(found, VertuiError):
            return failed(row, str(found))
        live = found.live
        try:
            await start.make_distinct(engine, live, row, committing, quiesced=True)
            fork_ms = (time.perf_counter() - began) * 1000
            if command:
                await (await (await live.agent()).exec(command)).detach()
        except VertuiError as error:
            return failed(row, engine.damage((live.base or "", live.machine.disk_base)) or str(error))
        address = live.network.info.address
        return Child(row.name, True, "", address, round(found.run_ms, 2), round(fork_ms, 2))

    def failed(row: BranchRow, reason: str) -> Child:
        engine.set_branch(row.id, state=BranchState.FAILED, reason=reason, machine=None)
        return Child(row.name, False, reason)

    return tuple(await asyncio.gather(*map(one, rows, awake)))


async def _discard(engine: Engine, rows: list[BranchRow]) -> None:
    """Remove children of a fork that failed as a whole."""
    for row in rows:
        claimed = engine.members.claimed.get(row.machine or "")
        if claimed:
            await end_warm(engine, claimed)
        live = engine.live.get(row.id)
        if live:
            await start.end(engine, live)
        engine.catalog.delete_branch(row.id)
        engine.publish("branch", row.name, f"{row.name} was not started")


# -- requirements --------------------------------------------------------------------------------------------


def _names(engine: Engine, branch: str | None, n: int, prefix: str | None) -> list[str]:
    """PREFIX1 … PREFIXn, a single one PREFIX itself, all legal and free; without a prefix the first of b, BRANCH-, c,
    d … that is.
    """
    if prefix is not None and n == 1:
        return _check_names(engine, [prefix])
    if prefix is not None:
        return _check_names(engine, [f"{prefix}{number}" for number in range(1, n + 1)])
    candidates = ["b", *([f"{branch}-"] if branch else []), *"cdefghijklmnopqrstuvwxyz"]
    for candidate in candidates:
        names = [f"{candidate}{number}" for number in range(1, n + 1)]
        if len(names[-1]) <= LONGEST_NAME and not any(engine.catalog.named(name) for name in names):
            return _check_names(engine, names)
    raise Conflict("no short prefix is free: give one with --name")


def _check_names(engine: Engine, names: list[str]) -> list[str]:
    taken = {row.name for row in engine.catalog.branches()}
    tags = {tag for commit in engine.catalog.commits() for tag in commit.tags}
    for name in names:
        check_name(name)
        if name in taken:
            raise Conflict(f"the name '{name}' is taken: choose another, or prune that branch")
        if name in tags:
            raise Conflict(f"the name '{name}' is a commit's tag: choose another")
    return names


async def check_room(engine: Engine, n: int, live: Live | None = None) -> None:
    """Refuse before anything starts what would not fit in memory."""
    free = int(available_bytes() * BUDGET_SHARE)
    each = CHILD_BYTES
    if live:
        spec = engine.image(engine.catalog.branch(live.branch).image).spec
        if n * (each + spec.memory_bytes) <= free:  # to look what it has changed takes a millisecond
            return
        each += await live.machine.changed_bytes()
    if n * each > free and engine.members.waiting:  # what waits goes first when memory is short
        await asyncio.gather(*(end_warm(engine, warm) for warm in list(engine.members.waiting)))
        free = int(available_bytes() * BUDGET_SHARE)
    if n * each > free:
        raise NoRoom(
            f"{n} branches need {n * each >> 20} MiB of memory, {free >> 20} MiB are free: {free // each} would fit"
        )
