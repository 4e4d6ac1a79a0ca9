"""Machines of no branch: started on a commit's memory, and ended."""

import asyncio
import contextlib
import os

from core.engine import chains
from core.engine.bases import base_of, make_layer
from core.engine.context import Engine, new_id
from core.engine.members import Warm
from core.errors import VertuiError
from core.machine.protocol import Boot, Machine
from core.model import Image
from core.network.protocol import Network


async def start_warm(
    engine: Engine, image: Image, base: str, number: int, machine: str | None = None, boot: Boot | None = None
) -> Warm:
    """A machine on a commit's memory with a network and a layer of its own to write, claimed; with `boot` it will begin
    there as on any memory that was used before.

    On failure nothing is left of it.
    """
    await engine.machines.reaping.done(number)
    network = await asyncio.to_thread(engine.network.create, number)
    layer = new_id()
    with engine.needing(layer, base):
        try:
            started = await _started(engine, image, base, network, layer, machine or new_id(), boot)
        except BaseException:
            engine.machines.reaping.begin(engine.held, network)
            engine.store.layer_path(layer).unlink(missing_ok=True)
            raise
        warm = engine.machines.members.claimed[started.id] = Warm(started, network, image, base)
    try:
        await asyncio.to_thread(engine.held.keep, f"net:{number}", network.namespace_fd)
    except BaseException:
        await end_warm(engine, warm)
        raise
    return warm


async def _started(
    engine: Engine, image: Image, base: str, network: Network, layer: str, machine: str, boot: Boot | None
) -> Machine:
    await asyncio.to_thread(make_layer, engine, engine.home.images / image.id, layer)
    memory = await base_of(engine, base)
    try:
        tap = network.tap_fd or -1
        return await engine.hypervisor.start(machine, image.spec, memory, tap, engine.layer(layer), boot)
    finally:
        os.close(memory.descriptor)


async def end_warm(engine: Engine, warm: Warm) -> None:
    """End a machine of no branch and what belongs to it; idempotent, never fails."""
    if warm in engine.machines.members.waiting:
        engine.machines.members.waiting.remove(warm)
    engine.machines.members.claimed.pop(warm.machine.id, None)
    if warm.ended:
        return
    warm.ended = True
    await engine.machines.reaping.end(engine.held, warm.network, end_machine(engine, warm.machine))


async def end_machine(engine: Engine, machine: Machine) -> None:
    """End a machine, and its disk layers that no other has."""
    await machine.close()
    chains.forget(engine, machine.id)
    with contextlib.suppress(VertuiError):
        engine.collect_layers()


async def let_go(engine: Engine) -> None:
    """End the machines that wait on a commit which no row names and no branch's machine maps: nothing else keeps it."""
    rows = {commit.id for deleted in (False, True) for commit in engine.catalog.commits(deleted=deleted)}
    kept = rows | {live.base for live in engine.machines.live.values() if live.base}
    for warm in list(engine.machines.members.waiting):
        if warm.base not in kept:
            await end_warm(engine, warm)
