"""`Hypervisor` and `Machine`: what QEMU and its twin both do, as scenes. Who plays them has a place for machines.

The twin is played by `unit/test_seam_machine.py`, QEMU by `machine/test_seam.py` in a holder's namespaces.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.engine.context import new_id
from core.errors import MachineFailed
from core.guest.client import AgentClient
from core.guest.identity import make_identity
from core.holder.protocol import Held
from core.home import Home
from core.image.kernel import KERNEL_ARGS
from core.machine.base import Base, empty
from core.machine.protocol import Boot, Hypervisor, Layer, Machine, MachineState
from core.model import MachineSpec
from core.network.protocol import BranchNetwork
from tests.guests import reached

ANSWER_S = 300.0  # an emulated guest boots in seconds on a machine with nothing else to do
FREEZE_S = 10.0


@dataclass(frozen=True)
class Place:
    """Where machines run, and the image they are of. `leave` lets go of one as a daemon's end does."""

    home: Home
    held: Held
    hypervisor: Hypervisor
    hub: BranchNetwork
    image: str
    spec: MachineSpec
    leave: Callable[[Machine], None]

    @property
    def files(self) -> Path:
        """Of the image."""
        return self.home.images / self.image

    @property
    def root(self) -> Layer:
        """The image's disk."""
        return Layer("root", (self.files / "root.raw").relative_to(self.home.root))

    def layer(self) -> Layer:
        """A new, empty one."""
        id = new_id()
        path = self.home.layers / f"{id}.qcow2"
        shutil.copyfile(self.files / "empty.qcow2", path)
        return Layer(id, path.relative_to(self.home.root))

    @contextmanager
    def memory(self) -> Iterator[Base]:
        """What a machine that boots begins on: zeros."""
        base = empty(self.spec.memory_bytes)
        try:
            yield base
        finally:
            os.close(base.descriptor)

    @asynccontextmanager
    async def machine(self, number: int, base: Base, *, boots: bool) -> AsyncIterator[tuple[Machine, Layer]]:
        """A paused one, and the layer it will write; ended afterwards."""
        boot = Boot(self.files / "vmlinux", self.files / "initrd", KERNEL_ARGS) if boots else None
        network, layer = self.hub.create(number), self.layer()
        try:
            assert network.tap_fd is not None
            made = await self.hypervisor.start(new_id(), self.spec, base, network.tap_fd, layer, boot)
            try:
                yield made, layer
            finally:
                await made.close()
        finally:
            network.close()

    @asynccontextmanager
    async def booted(self, number: int, base: Base) -> AsyncIterator[tuple[Machine, Layer, AgentClient]]:
        """One whose guest answers."""
        async with self.machine(number, base, boots=True) as (machine, layer):
            await machine.open_disk(self.root, ())
            await machine.cont()
            async with guest_of(machine) as agent:
                yield machine, layer, agent


def guest_of(machine: Machine) -> AbstractAsyncContextManager[AgentClient]:
    """A line to a machine's guest."""
    return reached(machine.agent_socket, ANSWER_S)


async def captured(place: Place, machine: Machine) -> MachineState:
    """Its state; it goes on in a new layer."""
    following = place.layer()
    async with machine.prepared(following) as capture:
        state = await capture()
    assert machine.layers == (*state.layers, following.id) and state.pause_ms > 0
    return state


def alike(a: MachineState, b: MachineState) -> bool:
    """The same state?"""
    return (
        a.devices == b.devices and a.pages.tolist() == b.pages.tolist() and bool((a.table == b.table).all())
    )


async def stands_still_and_goes_on(place: Place) -> None:
    """A guest answers while its machine runs. One that stands still is captured twice alike."""
    with place.memory() as base:
        async with place.booted(1, base) as (machine, layer, agent):
            assert await machine.is_running() and not await machine.is_stalled()
            assert machine.layers == (layer.id,) and machine.disk_base == "root"
            assert place.held.holdings().children[f"machine:{machine.id}"] == machine.pid
            await agent.freeze(FREEZE_S)
            await machine.stop()
            assert not await machine.is_running()
            first, second = await captured(place, machine), await captured(place, machine)
            assert alike(first, second) and second.layers == machine.layers[:-1]
            assert not await machine.is_running()
            pages, table = await machine.read_memory()
            assert pages.tolist() == first.pages.tolist() and (table == first.table).all()
            assert await machine.changed_bytes() == table.nbytes
            await machine.cont()
            await agent.thaw()
            assert not await agent.ping()


async def begins_where_another_was(place: Place) -> None:
    """A state captured in one machine wakes in another, frozen, and is told apart there; the first goes on."""
    with place.memory() as base:
        async with (
            place.booted(1, base) as (first, layer, agent),
            place.machine(2, base, boots=False) as (second, own),
        ):
            await agent.freeze(FREEZE_S)
            state = await captured(place, first)
            await agent.thaw()
            assert await first.is_running() and state.layers == (layer.id,)
            await second.load(place.root, [layer], state.pages, state.table, state.devices)
            assert not await second.is_running() and second.layers == (layer.id, own.id)
            await second.cont()
            async with guest_of(second) as other:
                assert await other.ping()
                await other.identity(make_identity("other"))
                await other.thaw()
                assert not await other.ping() and not await agent.ping()
            assert not alike(await captured(place, first), await captured(place, second))


async def is_found_again(place: Place) -> None:
    """A machine is adopted by its process, with its layers; one that has ended is not, and ending twice is as once."""
    with place.memory() as base:
        async with place.booted(1, base) as (machine, layer, agent):
            await agent.close()
            place.leave(machine)
            found = await place.hypervisor.adopt(machine.id, place.spec, base, machine.pid)
            assert found.layers == (layer.id,) and found.pid == machine.pid and await found.is_running()
            async with guest_of(found) as other:
                assert not await other.ping()
            for _ in range(2):
                await found.close()
            assert not found.agent_socket.exists()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(60):
                    while f"machine:{machine.id}" in place.held.holdings().children:
                        await asyncio.sleep(0.01)
            assert f"machine:{machine.id}" not in place.held.holdings().children
            with pytest.raises(MachineFailed):
                await found.is_running()


SCENES: dict[str, Callable[[Place], Coroutine[Any, Any, None]]] = {
    scene.__name__: scene for scene in (stands_still_and_goes_on, begins_where_another_was, is_found_again)
}
