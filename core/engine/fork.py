"""Up and fork: branches out of images, branches and commits."""

import asyncio
import time
from pathlib import Path

from core.catalog import BranchRow
from core.engine import start
from core.engine.capture import Shot, put_commit, shoot, shorten
from core.engine.context import Engine, new_id
from core.engine.live import Live
from core.engine.operations import operation
from core.engine.start import Source
from core.engine.transfer import check_trusted, trusted
from core.errors import Conflict, Damaged, NoRoom, UsageError, VertuiError
from core.graph import Ref
from core.model import BranchState, Child, Commit, Forked, check_name
from core.store.protocol import MEMORY, Label

CHILD_BYTES = 60 * 1000 * 1000  # what a child takes besides its delta, after its first exec under emulation
MOST_CHILDREN = 1000
BUDGET_SHARE = 0.9  # of the memory the kernel calls available; the rest is for page cache and everybody else
LONGEST_NAME = 31


async def up(engine: Engine, request_id: str, image_name: str | None, name: str) -> BranchRow:
    """Start a branch from an image's golden commit; it becomes the trunk if there is none.

    Requires an image, a free and legal name, and room. On failure nothing is left.
    """
    image = engine.image(image_name)
    _check_names(engine, [name])
    await _check_room(1)
    async with operation(engine, request_id, "up", f"up {name} from image {image.name}") as record:
        source = await start.source_of(engine, image.golden)
        row = _new_row(engine, name, image.id, image.golden, None)
        with engine.catalog.transaction():
            engine.catalog.put_branch(row)
        child, _ = await _loaded(engine, row, source)
        if isinstance(child, Live):
            outcome = await _woken(engine, child, row, time.perf_counter(), None)
        else:
            outcome = Child(name, False, str(child))
        if not outcome.ok:
            engine.catalog.delete_branch(row.id)
            engine.publish("branch", name, f"{name} did not start")
            raise VertuiError(f"{name} did not start: {outcome.reason}")
        old_trunk = engine.catalog.setting("trunk")
        if old_trunk is None:
            engine.catalog.set_setting("trunk", row.id)
        record.inverse = {"prune": [row.id]}
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
    if live is None:
        check_trusted(trusted(engine, found.commit) if trust else engine.catalog.commit(found.commit))
    await _check_room(n, live)
    intent = {"names": names}
    async with operation(
        engine, request_id, "fork", f"fork {ref} into {names[0]}…{names[-1]}", intent
    ) as record:
        if live is not None and found.branch is not None:
            async with live.lock:
                shot = await shoot(engine, live, engine.branch(found.branch))
                with engine.needing(*shot.captured.layers):
                    made = await _fork_shot(
                        engine, record.id, engine.branch(found.branch), shot, names, command, began
                    )
                await shorten(engine, made[0].id, shot.captured.layers, live)
        else:
            if eager:
                await engine.views.hydrate(found.commit, MEMORY)
            made = await _fork_commit(engine, record.id, found, names, command, began)
        commit, children = made
        ids = [row.id for row in (engine.catalog.named(child.name) for child in children) if row]
        record.inverse = {"prune": ids}
    pause = (commit.pause_ms, commit.felt_pause_ms) if live else (0.0, 0.0)
    return Forked(commit, children, record.id, *pause)


async def _fork_shot(
    engine: Engine,
    fork: int,
    parent: BranchRow,
    shot: Shot,
    names: list[str],
    command: str | None,
    began: float,
) -> tuple[Commit, tuple[Child, ...]]:
    """Children of a state just captured: they load while it is being sealed."""
    if not shot.captured.quiesced:
        raise Conflict(
            f"{parent.name} could not be frozen in time, and an unquiesced state is not forkable: try again"
        )
    captured = shot.captured
    identified = await asyncio.to_thread(engine.store.identify, captured, (parent.head,))
    image = engine.image(captured.image)
    source = Source(
        image, captured.base or image.golden, captured.disk_base or image.golden,
        captured.pages, captured.table, captured.devices, captured.layers, True,
    )  # fmt: skip
    rows = _rows(engine, fork, names, image.id, identified.id, parent.id)
    message = f"fork into {names[0]}…{names[-1]}" if len(names) > 1 else f"fork into {names[0]}"
    label = Label(parent.name, message, time.time())
    try:
        engine.reach("fork.captured")
        sealing = asyncio.create_task(asyncio.to_thread(engine.store.put, captured, identified, label))
        loaded = await _load_all(engine, rows, source)
        engine.reach("fork.loaded")
        manifest, stored = await sealing
        with engine.catalog.transaction():
            commit = put_commit(engine, manifest, shot, stored, branch=parent.name, message=message)
            engine.catalog.change_branch(parent.id, head=commit.id)
        engine.reach("fork.sealed")
        return commit, await _wake_all(engine, rows, loaded, began, command)
    except BaseException:
        await _discard(engine, rows)
        raise


async def _fork_commit(
    engine: Engine, fork: int, found: Ref, names: list[str], command: str | None, began: float
) -> tuple[Commit, tuple[Child, ...]]:
    """Children of a stored commit."""
    commit = engine.catalog.commit(found.commit)
    source = await start.source_of(engine, commit.id)
    if not commit.quiesced:
        raise Conflict(
            f"commit {commit.id[:12]} is not quiesced: it restores its own branch, but is not forkable"
        )
    parent = engine.catalog.named(found.branch or commit.branch)
    rows = _rows(engine, fork, names, commit.image, commit.id, parent.id if parent else None)
    try:
        loaded = await _load_all(engine, rows, source)
        return commit, await _wake_all(engine, rows, loaded, began, command)
    except BaseException:
        await _discard(engine, rows)
        raise


def _rows(
    engine: Engine, fork: int, names: list[str], image: str, commit: str, parent: str | None
) -> list[BranchRow]:
    """The children's rows, written before their machines exist: what a crash leaves can be told and removed."""
    rows = []
    with engine.catalog.transaction():
        for name in names:
            rows.append(_new_row(engine, name, image, commit, parent, fork))
            engine.catalog.put_branch(rows[-1])
    for row in rows:
        engine.publish("branch", row.name, f"{row.name} is starting")
    return rows


def _new_row(
    engine: Engine, name: str, image: str, commit: str, parent: str | None, fork: int | None = None
) -> BranchRow:
    return BranchRow(
        new_id(), name, BranchState.STARTING, "", image, commit, commit, parent, time.time(),
        engine.catalog.free_number(), fork, new_id(),
    )  # fmt: skip


async def _load_all(
    engine: Engine, rows: list[BranchRow], source: Source
) -> list[tuple[Live | VertuiError, float]]:
    return await asyncio.gather(*(_loaded(engine, row, source) for row in rows))


async def _loaded(engine: Engine, row: BranchRow, source: Source) -> tuple[Live | VertuiError, float]:
    """A loaded machine or why there is none, and when it was ready."""
    try:
        return await start.load(engine, row, source), time.perf_counter()
    except VertuiError as error:
        damage = engine.damage((source.base, source.disk_base))
        return Damaged(damage) if damage else error, time.perf_counter()


async def _wake_all(
    engine: Engine,
    rows: list[BranchRow],
    loaded: list[tuple[Live | VertuiError, float]],
    began: float,
    command: str | None,
) -> tuple[Child, ...]:
    """All are loaded before the first runs: one that runs takes the processor from those that load."""

    async def one(row: BranchRow, live: Live | VertuiError) -> Child:
        if isinstance(live, Live):
            return await _woken(engine, live, row, began, command)
        engine.set_branch(row.id, state=BranchState.FAILED, reason=str(live), machine=None)
        return Child(row.name, False, str(live))

    pairs = zip(rows, loaded, strict=True)
    return tuple(await asyncio.gather(*(one(row, live) for row, (live, _) in pairs)))


async def _woken(engine: Engine, live: Live, row: BranchRow, began: float, command: str | None) -> Child:
    """A child awake and distinct, or failed with the reason; `command` is started in it."""
    waking = time.perf_counter()
    try:
        cont_ms = await start.wake(engine, live, row, quiesced=True)
        fork_ms = (time.perf_counter() - began) * 1000
        if command:
            await (await (await live.agent()).exec(command)).detach()
    except VertuiError as error:
        reason = engine.damage((live.base or "", live.machine.disk_base)) or str(error)
        engine.set_branch(row.id, state=BranchState.FAILED, reason=reason, machine=None)
        return Child(row.name, False, reason)
    run_ms = (waking - began) * 1000 + cont_ms
    return Child(row.name, True, "", live.network.info.address, round(run_ms, 2), round(fork_ms, 2))


async def _discard(engine: Engine, rows: list[BranchRow]) -> None:
    """Remove children of a fork that failed as a whole."""
    for row in rows:
        live = engine.live.get(row.id)
        if live:
            await start.end(engine, live)
        engine.catalog.delete_branch(row.id)
        engine.publish("branch", row.name, f"{row.name} was not started")


# -- requirements --------------------------------------------------------------------------------------------


def _names(engine: Engine, branch: str | None, n: int, prefix: str | None) -> list[str]:
    """PREFIX1 … PREFIXn, all legal and free; without a prefix the first of b, BRANCH-, c, d … that is."""
    if prefix is not None:
        return _check_names(engine, [f"{prefix}{number}" for number in range(1, n + 1)])
    candidates = ["b", *([f"{branch}-"] if branch else []), *"cdefghijklmnopqrstuvwxyz"]
    for candidate in candidates:
        names = [f"{candidate}{number}" for number in range(1, n + 1)]
        if len(names[-1]) <= LONGEST_NAME and not any(engine.catalog.named(name) for name in names):
            return _check_names(engine, names)
    raise Conflict("no short prefix is free: give one with --name")


def _check_names(engine: Engine, names: list[str]) -> list[str]:
    for name in names:
        check_name(name)
        if engine.catalog.named(name):
            raise Conflict(f"the name '{name}' is taken: choose another, or prune that branch")
        if any(name in commit.tags for commit in engine.catalog.commits()):
            raise Conflict(f"the name '{name}' is a commit's tag: choose another")
    return names


async def _check_room(n: int, live: Live | None = None) -> None:
    """Refuse before anything starts what would not fit in memory."""
    delta = await live.machine.changed_bytes() if live else 0
    each, free = delta + CHILD_BYTES, int(available_bytes() * BUDGET_SHARE)
    if n * each > free:
        raise NoRoom(
            f"{n} branches need {n * each >> 20} MiB of memory, {free >> 20} MiB are free: {free // each} would fit"
        )


def available_bytes() -> int:
    """Memory the kernel would give without swapping (MemAvailable)."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise NoRoom("/proc/meminfo does not tell how much memory is available")
