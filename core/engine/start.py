"""Machines out of commits: loaded, continued, and made distinct before anything but the agent runs in them."""

import asyncio
import os
import time
from dataclasses import dataclass

from core.catalog import BranchRow
from core.engine import touched
from core.engine.bases import base_of, disk_of, make_layer
from core.engine.context import Engine, new_id
from core.engine.live import FREEZE_S, Live
from core.engine.transfer import check_trusted
from core.errors import Conflict, VertuiError
from core.guest.identity import make_identity
from core.machine.memory import Pages, Table
from core.machine.protocol import Machine
from core.model import BranchState, CommitState, Image
from core.network.protocol import Network


@dataclass(frozen=True)
class Source:
    """A state to start machines from: pages (n,) and contents (n, 4096) over the memory of commit `base`, devices, and
    disk layers over the disk of commit `disk_base`.
    """

    image: Image
    base: str
    disk_base: str
    pages: Pages
    table: Table
    devices: bytes
    layers: tuple[str, ...]
    quiesced: bool


async def source_of(engine: Engine, commit_id: str) -> Source:
    """A sealed commit's state: only its devices are read now, memory and disk when a machine touches them."""
    commit = engine.catalog.commit(commit_id)
    if commit.state is CommitState.GONE:
        raise Conflict(f"commit {commit_id[:12]} was still hot when the host died: fork one of its ancestors")
    check_trusted(commit)
    image = engine.image(commit.image)
    touched.read_ahead(engine, image, commit_id)
    with engine.store.pinned(commit_id):  # names what is damaged in the tables before a machine starts
        devices = await asyncio.to_thread(engine.store.devices, commit_id)
    return Source(image, commit_id, commit_id, *touched.NO_PAGES, devices, (), commit.quiesced)


async def load(engine: Engine, row: BranchRow, source: Source) -> Live:
    """A branch's machine, loaded and not yet continued. On failure nothing is left of it."""
    layer = new_id()
    with engine.needing(layer, *source.layers):
        return await _load(engine, row, source, layer)


async def _load(engine: Engine, row: BranchRow, source: Source, layer: str) -> Live:
    network: Network = await asyncio.to_thread(engine.network.create, row.number)
    machine: Machine | None = None
    directory = engine.home.images / source.image.id
    try:
        await asyncio.to_thread(make_layer, engine, directory, layer)
        machine = await _start(engine, row, source, network)
        layers = [engine.layer(name) for name in (*source.layers, layer)]
        await machine.open_disk(disk_of(engine, source.disk_base), layers)
        await machine.load(source.pages, source.table, source.devices)
        engine.held.keep(f"net:{row.number}", network.namespace_fd)
    except BaseException:
        if machine:
            await machine.close()
        await asyncio.to_thread(network.close)
        engine.store.layer_path(layer).unlink(missing_ok=True)
        raise
    live = Live(row.id, machine, network, source.base)
    engine.catalog.change_branch(row.id, base=source.base)
    engine.live[row.id] = live
    return live


async def _start(engine: Engine, row: BranchRow, source: Source, network: Network) -> Machine:
    machine = row.machine or new_id()
    base = await base_of(engine, source.base)
    try:
        return await engine.hypervisor.start(machine, source.image.spec, base, network.tap_fd or -1, None)
    finally:
        os.close(base.descriptor)


async def wake(engine: Engine, live: Live, row: BranchRow, *, quiesced: bool) -> float:
    """Continue a loaded machine and give it an identity of its own; how long `cont` took, in ms.

    Its processes stay frozen and its link down until the identity is confirmed; on failure the machine is ended.
    """
    began = time.perf_counter()
    try:
        await live.machine.cont()
        cont_ms = (time.perf_counter() - began) * 1000
        await live.console.open(live.machine.console_socket)
        agent = await live.connect()
        if not quiesced:
            await agent.freeze(FREEZE_S)
        await agent.identity(make_identity(row.name))
        engine.reach("wake.distinct")
        await agent.thaw()
        await asyncio.to_thread(live.network.set_link, True)
    except BaseException:
        await end(engine, live)
        raise
    engine.set_branch(row.id, state=BranchState.RUNNING, reason="", started=time.time())
    return cont_ms


async def start_again(engine: Engine, row: BranchRow) -> BranchRow:
    """Start a branch that has no machine from its head. On failure it stays as it was."""
    source = await source_of(engine, row.head)
    starting = engine.set_branch(row.id, state=BranchState.STARTING, reason="", machine=new_id())
    try:
        live = await load(engine, starting, source)
        await wake(engine, live, starting, quiesced=source.quiesced)
    except VertuiError:
        engine.set_branch(row.id, state=row.state, reason=row.reason, machine=None)
        raise
    return engine.catalog.branch(row.id)


async def end(engine: Engine, live: Live) -> None:
    """End a branch's machine and everything that belongs to it; idempotent. So do its disk layers that no other has."""
    engine.live.pop(live.branch, None)
    layers = live.machine.layers
    await live.close()
    engine.held.drop(f"net:{live.network.index}")
    if layers:
        engine.store.layer_path(layers[-1]).unlink(missing_ok=True)
        engine.collect_layers()
