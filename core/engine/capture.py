"""Commit, pause and resume: a running machine read at one instant."""

import asyncio
import contextlib
import time
from dataclasses import dataclass

from core.catalog import BranchRow
from core.engine.bases import disk_of, make_layer
from core.engine.context import Engine, new_id
from core.engine.live import Live
from core.engine.operations import operation
from core.engine.start import end, start_again
from core.errors import Conflict, MachineFailed
from core.model import BranchState, Commit, CommitState, Committed, MachineSpec
from core.store.protocol import Captured, Label, Manifest


@dataclass(frozen=True)
class Shot:
    """A captured state, still in RAM, and how long the guest felt it."""

    captured: Captured
    pause_ms: float
    felt_pause_ms: float


async def freeze_and_read(engine: Engine, live: Live, image: str, spec: MachineSpec) -> Shot:
    """Capture a machine, quiesced if its guest can be frozen. On failure it goes on as it was."""
    directory = engine.home.images / (image if live.base else f".{image}.tmp")
    layer = new_id()
    with engine.needing(layer):
        try:
            await asyncio.to_thread(make_layer, engine, directory, layer)
            async with live.machine.prepared(engine.layer(layer)) as capture:
                async with live.held() as quiesced:
                    began = time.perf_counter()
                    state = await capture()
                felt_ms = (time.perf_counter() - began) * 1000
        except BaseException:
            if layer not in live.machine.layers:
                engine.store.layer_path(layer).unlink(missing_ok=True)
            raise
    engine.reach("capture.read")
    captured = Captured(
        image, live.base, live.machine.disk_base if live.base else None, spec,
        state.pages, state.table, state.devices, state.layers, quiesced,
    )  # fmt: skip
    return Shot(captured, state.pause_ms, felt_ms)


def put_commit(
    engine: Engine, manifest: Manifest, shot: Shot, stored: int, *, branch: str, message: str,
    state: CommitState = CommitState.SEALED,
) -> Commit:  # fmt: skip
    """The catalog row of a captured state."""
    commit = Commit(
        id=manifest.id,
        state_id=manifest.state_id,
        parents=manifest.parents,
        branch=branch,
        image=manifest.image,
        message=message,
        created=time.time(),
        state=state,
        quiesced=manifest.quiesced,
        changed_pages=manifest.page_count,
        stored_bytes=stored,
        pause_ms=round(shot.pause_ms, 2),
        felt_pause_ms=round(shot.felt_pause_ms, 2),
    )
    engine.catalog.put_commit(commit)
    engine.publish("commit", commit.id, f"{branch or manifest.image}: commit {commit.id[:12]} is {state}")
    return commit


async def shoot(engine: Engine, live: Live, row: BranchRow) -> Shot:
    """Capture a branch's machine."""
    image = engine.image(row.image)
    return await freeze_and_read(engine, live, image.id, image.spec)


async def save(engine: Engine, row: BranchRow, shot: Shot, message: str) -> Commit:
    """Seal a captured state as the branch's new head; the head it has when the state is the same."""
    with engine.needing(*shot.captured.layers):
        made = await _seal(engine, row, shot, message)
    await shorten(engine, made.id, shot.captured.layers, engine.live.get(row.id))
    return made


async def _seal(engine: Engine, row: BranchRow, shot: Shot, message: str) -> Commit:
    head = engine.catalog.commit(engine.catalog.branch(row.id).head)
    identified = await asyncio.to_thread(engine.store.identify, shot.captured, (head.id,))
    if identified.state_id == head.state_id:
        return head
    label = Label(row.name, message, time.time())
    manifest, stored = await asyncio.to_thread(engine.store.put, shot.captured, identified, label)
    engine.reach("commit.stored")
    with engine.catalog.transaction():
        commit = put_commit(engine, manifest, shot, stored, branch=row.name, message=message)
        engine.catalog.change_branch(row.id, head=commit.id)
    return commit


async def shorten(engine: Engine, commit: str, layers: tuple[str, ...], own: Live | None) -> None:
    """Let machines on a sealed commit's layers lie on its disk view instead; layers that none has then go.

    The caller holds `own`'s lock. Machines that others have locked are left: their next commit does it for them.
    """
    for live in list(engine.live.values()):
        if live is own or not live.lock.locked():
            async with contextlib.nullcontext() if live is own else live.lock:
                await _shorten(engine, live, commit, layers)
    engine.collect_layers()


async def _shorten(engine: Engine, live: Live, commit: str, layers: tuple[str, ...]) -> None:
    if live.machine.layers[: len(layers)] == layers:
        with contextlib.suppress(MachineFailed):
            await live.machine.rebase_disk(disk_of(engine, commit), layers)


async def commit(engine: Engine, request_id: str, name: str, message: str) -> Committed:
    """Commit a branch.

    Requires a running or paused machine. On success its state is sealed and is the branch's head; the machine went on.
    On failure the machine goes on and nothing is added.
    """
    row, live, began = engine.branch(name), engine.machine(name), time.perf_counter()
    async with operation(engine, request_id, "commit", f"commit {row.name}") as record, live.lock:
        shot = await shoot(engine, live, row)
        hot_ms = (time.perf_counter() - began) * 1000
        made = await save(engine, row, shot, message)
        if made.id == row.head:
            record.summary = f"commit {row.name}: its state is its head's, {made.id[:12]}"
        else:
            record.summary = f"commit {row.name} as {made.id[:12]}"
            record.inverse = {"heads": {row.id: row.head}, "hide": [made.id]}
    engine.publish("branch", row.name, record.summary)
    return Committed(made, record.id, round(hot_ms, 2), round((time.perf_counter() - began) * 1000, 2))


async def pause(engine: Engine, request_id: str, name: str) -> BranchRow:
    """Quiesce and stop a branch's machine. Requires a running one; on failure it runs on."""
    row, live = engine.branch(name), engine.machine(name)
    if row.state is not BranchState.RUNNING:
        raise Conflict(f"branch {row.name} is {row.state}, not running")
    async with operation(engine, request_id, "pause", f"pause {row.name}") as record, live.lock:
        await live.pause()
        record.inverse = {"resume": [row.id]}
        reason = "" if live.quiesced else "its processes could not be frozen"
        return engine.set_branch(row.id, state=BranchState.PAUSED, reason=reason)


async def resume(engine: Engine, request_id: str, name: str) -> BranchRow:
    """Let a paused branch run on, or start one without a machine from its head. On failure it stays as it was."""
    row = engine.branch(name)
    if row.state in (BranchState.RUNNING, BranchState.STARTING):
        raise Conflict(f"branch {row.name} is {row.state} already")
    async with operation(engine, request_id, "resume", f"resume {row.name}") as record:
        live = engine.live.get(row.id)
        if live is None:
            return await start_again(engine, row)
        async with live.lock:
            await live.resume()
        record.inverse = {"pause": [row.id]}
        return engine.set_branch(row.id, state=BranchState.RUNNING, reason="")


async def suspend_all(engine: Engine, request_id: str, *, now: bool) -> None:
    """End every machine. Each is committed first, so that `resume` brings it back; with `now` none is.

    A machine that cannot be committed keeps all running, and the reason is said.
    """
    async with operation(engine, request_id, "suspend", f"suspend {len(engine.live)} branches"):
        machines = list(engine.live.values())
        if not now:
            await asyncio.gather(*(_save_last(engine, live) for live in machines))
        state = BranchState.STOPPED if now else BranchState.SUSPENDED
        reason = "stopped uncommitted; its head is its last commit" if now else ""
        for live in machines:
            engine.set_branch(live.branch, state=state, reason=reason, machine=None)
        await asyncio.gather(*(end(engine, live) for live in machines))
        await engine.reaping.done()


async def _save_last(engine: Engine, live: Live) -> None:
    row = engine.catalog.branch(live.branch)
    async with live.lock:
        await save(engine, row, await shoot(engine, live, row), "suspend")
