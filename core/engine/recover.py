"""What a daemon finds when it starts, and what it does when a machine ends: nothing is left unaccounted for."""

import asyncio
import math
import os
import shutil
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Any

from core.catalog_values import BranchRow, Intent
from core.engine import chains, crashes, links
from core.engine.bases import base_of
from core.engine.context import Engine
from core.engine.live import Live
from core.engine.ports import PORT, wanted
from core.engine.start import end
from core.engine.warm import end_warm
from core.errors import NoRoom, VertuiError
from core.files import remove_unfinished
from core.holder.protocol import Holdings
from core.machine.arguments import TAP_FD
from core.model import BranchState, OperationState
from core.network.tap import tap_of
from core.store.views.keeper import NURSERY_KEY

ALIVE = (BranchState.RUNNING, BranchState.PAUSED)
WITH_MACHINE = (*ALIVE, BranchState.STARTING)
MACHINE = "machine:"
CLOCK_STEP_S = 1.0  # a filesystem's clock may lag behind ours by a tick


async def recover(engine: Engine, tell: Callable[[str], None]) -> None:
    """Adopt machines that run, account for those that do not, and remove what no row names; `tell` hears how far it
    is.
    """
    tell("recovering: what is to be read")
    holdings = engine.held.holdings()
    await asyncio.to_thread(engine.views.start, holdings)
    await engine.tasks.sealer.resume(holdings)
    rows = {f"{MACHINE}{row.machine}": row for row in engine.catalog.branches() if row.machine}
    for key in holdings.children:
        if key.startswith(MACHINE) and key not in rows:
            engine.held.kill(key)
    unfinished = engine.catalog.operations(state=OperationState.INTENT)
    begun = min((operation.created for operation in unfinished), default=math.inf)
    woken = {branch for operation in unfinished for branch in operation.intent.wakes}
    end_half_replayed(engine, [operation.intent for operation in unfinished], rows)
    found = [(key, row) for key, row in rows.items() if row.state in WITH_MACHINE]
    for done, step in enumerate(
        asyncio.as_completed(
            [_recover_branch(engine, row, key, holdings, begun, woken) for key, row in found]
        )
    ):
        tell(f"recovering: {done} of {len(found)} machines")
        await step
    tell("recovering: what is left of the last one")
    await asyncio.to_thread(
        engine.network.sweep, {live.network.index for live in engine.machines.live.values()}
    )
    await links.settle(engine)
    for operation in unfinished:
        reason = "the daemon ended while this was at work: what was not whole was removed, try again"
        engine.catalog.change_operation(
            operation.id, state=OperationState.FAILED, error=reason, finished=time.time()
        )
    if unfinished:
        _remove_unborn(engine, begun)
    engine.machines.found = True
    await engine.tasks.ports.settle()
    engine.tasks.outside.settle()
    _sweep_files(engine, holdings)


def end_half_replayed(engine: Engine, unfinished: Sequence[Intent], rows: dict[str, BranchRow]) -> None:
    """End machines in the middle of a replay: half of it is nobody's work. It can be begun again. One that the branch
    had before that was not taken back yet, and goes on.
    """
    before = {intent.replayed: intent.machine for intent in unfinished}
    for key, row in list(rows.items()):
        if row.id in before and row.machine != before[row.id]:
            engine.held.kill(key)
            reason = f"its replay was cut off: `vertui recover --replay {row.name}` begins it again"
            engine.set_branch(row.id, state=BranchState.LOST, reason=reason, machine=None)
            del rows[key]


async def _recover_branch(
    engine: Engine, row: BranchRow, key: str, holdings: Holdings, begun: float, woken: Collection[str]
) -> None:
    """Take over a branch's machine, or account for its end. `begun` is when the first operation began that the last
    daemon did not finish, `woken` the suspended branches that it was about to start: their heads are all they are.
    """
    if row.state is BranchState.STARTING and row.id in woken:
        engine.held.kill(key)
        engine.set_branch(row.id, state=BranchState.SUSPENDED, machine=None)
    elif row.state is BranchState.STARTING:
        engine.held.kill(key)
        _forget_unborn(engine, row, begun)
    elif key not in holdings.children:
        await crashes.keep(engine, row, chains.chain_of(engine, row.machine or ""))
        _account(engine, row, holdings.exits.get(key))
    else:
        try:
            await _adopt(engine, row, holdings.children[key])
        except NoRoom:  # this daemon lacks means; the machine is well
            raise
        except VertuiError as error:
            engine.held.kill(key)
            await crashes.keep(engine, row, chains.chain_of(engine, row.machine or ""))
            if live := engine.machines.live.get(row.id):
                await end(engine, live)
            engine.set_branch(row.id, state=BranchState.LOST, reason=str(error), machine=None)


def _forget_unborn(engine: Engine, row: BranchRow, begun: float) -> None:
    """Remove a branch that was starting for the first time, as its creator is told; an older one has failed."""
    known = {commit.id for commit in engine.catalog.commits()}
    if (row.started is None and row.created >= begun) or row.head not in known:
        engine.catalog.delete_branch(row.id)
        return
    engine.set_branch(
        row.id, state=BranchState.FAILED, reason="the daemon ended while it started", machine=None
    )


async def _adopt(engine: Engine, row: BranchRow, pid: int) -> None:
    """Take over a running machine. One found stopped by an unfinished verb is continued first of all."""
    image = engine.image(row.image)
    base_commit = row.base or image.golden
    base = await base_of(engine, base_commit)
    try:
        machine = await engine.hypervisor.adopt(row.machine or "", image.spec, base, pid)
    finally:
        os.close(base.descriptor)
    stalled, running = await machine.is_stalled(), await machine.is_running()
    paused = row.state is BranchState.PAUSED and not (stalled or running)
    if not (paused or stalled or running):
        await machine.cont()
    tap = tap_of(pid, TAP_FD)
    namespace = await asyncio.to_thread(engine.held.get, f"net:{row.number}")
    if namespace is None:
        await machine.close()
        raise VertuiError("its network is gone")
    try:
        network = await asyncio.to_thread(engine.network.adopt, row.number, namespace, tap)
    except VertuiError:
        os.close(namespace)
        raise
    live = engine.machines.live[row.id] = Live(row.id, machine, network, base_commit)
    chains.keep(engine, live)  # one that an older vertui started has none
    await asyncio.to_thread(network.set_reach, row.egress)
    await live.console.open(machine.console_socket)
    if stalled:
        engine.tasks.stalls.found(live)
    elif paused:
        await live.found_paused(quiesced=row.quiesced)
    else:
        await live.connect()
        await live.thaw()
        await asyncio.to_thread(network.set_link, True)
        if row.state is not BranchState.RUNNING:  # the last daemon continued it, and ended before it said so
            engine.set_branch(row.id, state=BranchState.RUNNING, reason="")


def watch(engine: Engine) -> None:
    """Account for machines that end or stand still from now on, and replace a nursery that ends."""
    tasks: set[asyncio.Task[None]] = set()

    def later(work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def on_exit(key: str, status: int) -> None:
        if key == NURSERY_KEY:
            later(engine.views.nursery_ended())
        live = next(
            (live for live in engine.machines.live.values() if f"{MACHINE}{live.machine.id}" == key), None
        )
        if live is not None and not live.closing:
            later(_ended(engine, live, status))
        warm = engine.machines.members.find(key.removeprefix(MACHINE))
        if warm is not None:
            later(end_warm(engine, warm))
            engine.machines.members.changed.set()

    engine.held.watch(on_exit)
    engine.hypervisor.watch(engine.tasks.stalls.met)


async def _ended(engine: Engine, live: Live, status: int) -> None:
    row = engine.catalog.branch(live.branch)
    bases = (live.base or "", live.machine.disk_base)
    if row.deleted is None and row.state in ALIVE:
        await crashes.keep(engine, row, chains.chain_of(engine, live.machine.id))
    await end(engine, live)
    if row.deleted is None and row.state in ALIVE:
        _account(engine, row, status, engine.damage(bases))


def _account(engine: Engine, row: BranchRow, status: int | None, damage: str | None = None) -> None:
    """Say what became of a branch whose machine is gone, and what damage it met if it did."""
    if status == 0:
        engine.set_branch(row.id, state=BranchState.STOPPED, reason="the guest shut down", machine=None)
        return
    how = "its machine ended with the holder"
    if status is not None:
        how = (
            f"its machine was killed by signal {-status}"
            if status < 0
            else f"its machine ended with status {status}"
        )
    reason = f"{damage}: {how}" if damage else how
    engine.set_branch(row.id, state=BranchState.LOST, reason=reason, machine=None)


def _remove_unborn(engine: Engine, since: float) -> None:
    """Remove commits and images that an unfinished operation stored and no row names.

    Older ones are left alone: should the catalog be lost, they are what it can be rebuilt from.
    """
    known = {commit.id for deleted in (False, True) for commit in engine.catalog.commits(deleted=deleted)}
    for commit in set(engine.store.commits()) - known:
        if engine.store.manifest(commit).label.created >= since:
            engine.store.delete(commit)
    images = {image.id for image in engine.catalog.images()}
    for path in engine.home.images.iterdir():
        if path.name not in images and path.stat().st_mtime >= since - CLOCK_STEP_S:
            engine.store.forget_image(path.name)
            shutil.rmtree(path, ignore_errors=True)


def _sweep_files(engine: Engine, holdings: Holdings) -> None:
    """Remove half-built images, half-written files, layers no machine has, sockets and networks of what is gone."""
    home = engine.home
    for path in (home.secrets, home.authority, home.tokens, home.ssh_key, home.known_hosts):
        remove_unfinished(path)
    for leftover in engine.home.images.glob(".*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
    engine.collect_layers()
    machines = {live.machine.id for live in engine.machines.live.values()}
    for path in engine.home.machines.glob("*"):
        if path.stem not in machines:
            path.unlink(missing_ok=True)
    chains.sweep(engine, machines)
    needed = {f"net:{live.network.index}" for live in engine.machines.live.values()}
    needed |= {f"{PORT}{row.id}" for row in wanted(engine)}
    for key in holdings.kept:
        if key.startswith(("net:", PORT)) and key not in needed:
            engine.held.drop(key)
