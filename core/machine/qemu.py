"""Machines as QEMU processes."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import numpy as np

from core.errors import MachineFailed, NoRoom
from core.files import disk_error, file_bytes, memory_file
from core.holder.protocol import Held
from core.home import Home
from core.machine import blocks, memory, passed
from core.machine.accelerator import require
from core.machine.arguments import DEVICES_FD, arguments, base_name, files_given, limits
from core.machine.base import Base
from core.machine.memory import GuestMemory
from core.machine.monitor import Monitor, RunState
from core.machine.passed import PassedFiles
from core.machine.protocol import Boot, Capture, Layer, MachineState
from core.machine.reopening import answered
from core.machine.unlike import known_contents, read_unlike
from core.model import PAGE_BYTES, MachineSpec
from core.pages import Pages, Runs, Table, numbers
from core.sockets import check_directory

VCPU_NICER = 10  # than QEMU's main loop, so that verbs get through beside busy guests
CHANNELS = ("qmp", "agent", "console")
OWN_PAGES = 2048  # copied at once
WARM_BYTES = 1 << 20  # read at once: frames are smaller, so that the view's server is never waited for long

Read = Callable[[], tuple[Runs, Table]]


class QemuHypervisor:
    """Starts QEMU under the holder, with its sockets made beforehand and everything passed as descriptors."""

    def __init__(self, home: Home, held: Held) -> None:
        self._home = home
        self._held = held
        self._stalled: Callable[[str], None] = lambda machine: None

    def watch(self, stalled: Callable[[str], None]) -> None:
        """Have `stalled(machine)` called when a machine stops because its disk could not be written."""
        self._stalled = stalled

    async def start(
        self, machine: str, spec: MachineSpec, base: Base, tap: int, layer: Layer, boot: Boot | None = None
    ) -> "QemuMachine":
        """A paused machine on `base` that will write `layer`: ready to load, or with `boot` ready to boot."""
        require(spec.accelerator)
        with answered(base_name().encode(), base.descriptor) as asking:
            devices = _memfd()
            try:
                given = [base.descriptor, tap, devices, asking.fileno()]
                pid = await asyncio.to_thread(self._spawn, machine, spec, given, layer, boot)
                monitor = self._monitor(machine)
                started = QemuMachine(self._home, self._held, monitor, pid, devices, (layer.id,))
            except BaseException:
                os.close(devices)
                raise
            try:
                await started.connect(base)
            except BaseException:
                await started.close()
                raise
        if boot is None:
            await started.expect_devices()
        return started

    async def adopt(self, machine: str, spec: MachineSpec, base: Base, pid: int) -> "QemuMachine":
        """A machine started by an earlier daemon. NoRoom when this daemon lacks what it takes to reach it; the machine
        goes on.
        """
        found = QemuMachine(self._home, self._held, self._monitor(machine), pid)
        try:
            await found.connect(base)
            await found.find_layers()
        except NoRoom:
            found.leave()
            raise
        except BaseException:
            await found.close()
            raise
        return found

    def _monitor(self, machine: str) -> Monitor:
        return Monitor(machine, lambda name: self._stalled(name))

    def _spawn(
        self,
        machine: str,
        spec: MachineSpec,
        given: Sequence[int],
        layer: Layer,
        boot: Boot | None,
    ) -> int:
        """Start its process, `given` base, tap, the file of its device state and the socket it asks by; its pid."""
        base, tap, devices, asking = given
        with ExitStack() as opened:
            listeners = [
                opened.enter_context(_listen(socket_path(self._home, machine, channel)))
                for channel in CHANNELS
            ]
            descriptors = [base, tap, *(listener.fileno() for listener in listeners), devices]
            descriptors += passed.open_file(opened, self._home.root / layer.path, written=True)
            descriptors.append(asking)
            if boot is not None:
                for path in (boot.kernel, boot.initrd):
                    descriptors += passed.open_file(opened, path)
            argv = arguments(machine, spec, passed.first(layer), boot and files_given(boot))
            argv += passed.first_options(layer)
            log = self._home.log / "machines.log"
            return self._held.spawn(f"machine:{machine}", argv, log, descriptors, confined=limits(spec))


class QemuMachine:
    """`Machine` by QMP for control and by process_vm_readv for memory.

    One that waits to be loaded will find its device state in `devices`, a file it shares with us.
    """

    def __init__(
        self,
        home: Home,
        held: Held,
        monitor: Monitor,
        pid: int,
        devices: int | None = None,
        layers: tuple[str, ...] = (),
    ) -> None:
        self.id = monitor.name
        self.pid = pid
        self._home = home
        self._held = held
        self._monitor = monitor
        self._files = PassedFiles(home.root, monitor)
        self._memory = GuestMemory(pid, 0, 0)
        self._vcpus: list[int] = []
        self._devices = devices
        self._layers = layers
        self._disk_base = ""

    @property
    def agent_socket(self) -> Path:
        """Where the guest's agent is reached."""
        return socket_path(self._home, self.id, "agent")

    @property
    def console_socket(self) -> Path:
        """Where the guest's console is reached."""
        return socket_path(self._home, self.id, "console")

    @property
    def layers(self) -> tuple[str, ...]:
        """The disk's qcow2 layers, oldest first; the last is written."""
        return self._layers

    @property
    def disk_base(self) -> str:
        """The id of the raw file below them."""
        return self._disk_base

    async def connect(self, base: Base) -> None:
        """Connect the monitor, and find the vCPUs and the guest's memory."""
        await self._monitor.connect(socket_path(self._home, self.id, "qmp"))
        self._vcpus = [vcpu["thread-id"] for vcpu in await self._monitor.execute("query-cpus-fast")]
        await self._files.find()
        self._stand_back()
        self._memory = await asyncio.to_thread(memory.find_memory, self.pid, base.inode, base.size_bytes)

    async def expect_devices(self) -> None:
        """Make ready for `load`. On failure the machine is ended."""
        try:
            await self._monitor.expect_devices()
        except BaseException:
            await self.close()
            raise

    async def open_disk(self, base: Layer, frozen: Sequence[Layer]) -> None:
        """Put a raw base, and frozen layers over it, oldest first, below the layer that the machine writes."""
        bottom, *above = await self._files.add([base, *frozen])
        below = blocks.frozen(bottom, above)
        await self._lay(below, blocks.moved(self._layers[-1], below["node-name"]))
        self._layers = (*(layer.id for layer in frozen), *self._layers)
        self._disk_base = base.id

    async def rebase_disk(self, base: Layer, merged: Sequence[str]) -> None:
        """Put a raw base with the same content in place of the present base and the lowest layers, `merged`.

        The guest runs on meanwhile. When QEMU refuses, the chain stays as it was.
        """
        if base.id == self._disk_base:  # a second node of that name cannot be added
            raise MachineFailed(f"the disk of machine {self.id} lies on {base.id[:12]} already")
        lowest, old = self._layers[len(merged)], self._disk_base
        try:
            [named] = await self._files.add([base])
            below = blocks.frozen(named, ())
            frozen = lowest != self._layers[-1]
            await self._lay(below, blocks.moved(lowest, below["node-name"], frozen=frozen))
        except MachineFailed:
            await self._remove(blocks.base_name(base.id))
            self._files.drop(base.id)
            raise
        self._layers, self._disk_base = self._layers[len(merged) :], base.id
        for node in (*map(blocks.layer_name, reversed(merged)), blocks.base_name(old)):
            await self._remove(node)
        for file in (*merged, old):
            self._files.drop(file)

    async def load(
        self, base: Layer, frozen: Sequence[Layer], pages: Pages, table: Table, devices: bytes
    ) -> None:
        """Give a machine that has not run yet a disk, memory over its base, and a device state; it stays paused."""
        assert self._devices is not None, "it was started by an earlier daemon"
        writing = asyncio.to_thread(memory.write_pages, self._memory, pages, table)
        os.pwrite(self._devices, devices, 0)
        await asyncio.gather(self.open_disk(base, frozen), writing)
        await self._monitor.load_devices(DEVICES_FD)
        self._forget_devices()

    @asynccontextmanager
    async def prepared(self, next_layer: Layer) -> AsyncIterator[Capture]:
        """Make ready, while the guest runs, what a capture needs. The body takes the capture, at most once.

        The capture freezes the disk and reads everything as of one instant; the machine then goes on and writes
        `next_layer`.
        """
        arena = asyncio.create_task(asyncio.to_thread(memory.arena_for, self._memory))
        try:
            running = await self.is_running()
            read = lambda: memory.read_changed(self._memory, arena.result())  # noqa: E731
            async with self._prepared(next_layer, read, go_on=running) as capture:

                async def with_arena() -> MachineState:
                    await arena  # made while the guest freezes itself
                    return await capture()

                yield with_arena
        finally:
            await asyncio.gather(arena, return_exceptions=True)

    @asynccontextmanager
    async def leaving(self, next_layer: Layer, base: Base, places: Pages) -> AsyncIterator[Capture]:
        """As `prepared`, but the machine stays stopped, and of its pages only those are read that are unlike `base`.

        They are looked for among the changed pages and among `places`, in which `base` is unlike the present base.
        """
        await asyncio.to_thread(_warm, base, memory.touched_runs(self._memory))
        pages = np.union1d(memory.changed_pages(self._memory), places).astype(np.uint32)
        known = await asyncio.to_thread(known_contents, base.descriptor, pages)
        async with self._prepared(
            next_layer, partial(read_unlike, self._memory, known), go_on=False
        ) as capture:
            yield capture

    @asynccontextmanager
    async def _prepared(self, next_layer: Layer, read: Read, *, go_on: bool) -> AsyncIterator[Capture]:
        async with self._device_file() as (descriptor, name):

            async def capture() -> MachineState:
                return await self._capture(next_layer, read, descriptor, name, go_on=go_on)

            try:
                [named] = await self._files.add([next_layer], written=True)
                await self._monitor.execute("blockdev-add", **blocks.written(named))
                yield capture
            finally:
                if next_layer.id not in self._layers:
                    await self._remove(blocks.layer_name(next_layer.id))
                    self._files.drop(next_layer.id)
                elif go_on:
                    self._files.written_is(next_layer.id)

    async def _capture(
        self, next_layer: Layer, read: Read, descriptor: int, name: str, *, go_on: bool
    ) -> MachineState:
        """All commands are sent at once. Memory is read beside QEMU's own work: once stopped, nothing changes it."""
        frozen, began = self._layers, time.perf_counter()
        stopped = self._monitor.send("stop")
        snapshot = self._monitor.send(
            "blockdev-snapshot",
            node=blocks.layer_name(frozen[-1]),
            overlay=blocks.layer_name(next_layer.id),
        )
        saved = self._monitor.send("xen-save-devices-state", filename=name, live=False)
        try:
            await stopped
            reading = asyncio.create_task(asyncio.to_thread(read))
            await asyncio.wait([snapshot, saved, reading])
        finally:
            if go_on:
                await self._go_on()
        pause_ms = (time.perf_counter() - began) * 1000
        await snapshot
        self._layers = (*frozen, next_layer.id)
        await saved
        devices = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        runs, table = await reading
        return MachineState(numbers(runs), table, devices, frozen, pause_ms)

    async def copy_disk(self, to: Path) -> tuple[str, ...]:
        """Copy the layer being written, as of one instant, to a file; the frozen layers below it."""
        async with self._standing_still():
            await asyncio.to_thread(_copy_file, self._home.layers / f"{self._layers[-1]}.qcow2", to)
            return self._layers[:-1]

    async def read_memory(self) -> tuple[Pages, Table]:
        """The pages that may differ from the base with their contents, as of one instant."""
        arena = await asyncio.to_thread(memory.arena_for, self._memory)
        async with self._standing_still():
            runs, table = await asyncio.to_thread(memory.read_changed, self._memory, arena)
        return numbers(runs), table

    async def stop(self) -> None:
        """Let no vCPU run."""
        await self._monitor.execute("stop")

    async def cont(self) -> None:
        """Let the vCPUs run, and then give them a priority below QEMU's main loop.

        Not before: a vCPU's first act is to take the lock that QEMU's answer needs, and on a busy host a vCPU of low
        priority would hold it for long.
        """
        await self._go_on()
        self._files.written_is(self._layers[-1])

    async def _go_on(self) -> None:
        await self._monitor.execute("cont")
        self._yield()

    def _stand_back(self) -> None:
        """Make the vCPUs SCHED_BATCH: one that wakes up then preempts no running thread. Else the answer to `cont`
        would come a time slice later.
        """
        for vcpu in self._vcpus:
            with contextlib.suppress(ProcessLookupError):
                os.sched_setscheduler(vcpu, os.SCHED_BATCH, os.sched_param(0))

    def _yield(self) -> None:
        """Give the vCPUs their low priority; once, as it stays. An ordinary user may lower one, and never raise it."""
        vcpus, self._vcpus = self._vcpus, []
        for vcpu in vcpus:
            with contextlib.suppress(ProcessLookupError):
                niceness = os.getpriority(os.PRIO_PROCESS, self.pid) + VCPU_NICER
                os.setpriority(os.PRIO_PROCESS, vcpu, niceness)

    async def is_running(self) -> bool:
        """Do the vCPUs run?"""
        status: RunState = await self._monitor.execute("query-status")
        return status["running"]

    async def is_stalled(self) -> bool:
        """Does it stand still because its disk could not be written?"""
        status: RunState = await self._monitor.execute("query-status")
        return status["status"] == "io-error"

    async def changed_bytes(self) -> int:
        """Bytes of guest memory that differ from the base."""
        return PAGE_BYTES * len(await self.changed_pages())

    async def changed_pages(self) -> Pages:
        """The pages that differ from the base, or may."""
        return await asyncio.to_thread(memory.changed_pages, self._memory)

    async def own(self, pages: Pages) -> None:
        """Give a machine that has not run yet its own copies of these pages, with the same content."""
        for at in range(0, len(pages), OWN_PAGES):
            await asyncio.to_thread(memory.own_pages, self._memory, pages[at : at + OWN_PAGES])

    async def close(self) -> None:
        """End the process and remove its sockets; idempotent, never fails."""
        with contextlib.suppress(Exception):
            await asyncio.to_thread(self._held.kill, f"machine:{self.id}")
        self._monitor.close()
        self._forget_devices()
        for channel in CHANNELS:
            socket_path(self._home, self.id, channel).unlink(missing_ok=True)

    def leave(self) -> None:
        """Let go of a machine that runs on."""
        self._monitor.close()

    async def find_layers(self) -> None:
        """Ask QEMU for the disk's layers: what an adopting daemon does not know."""
        nodes = await self._monitor.execute("query-named-block-nodes", flat=True)
        described = next((node["file"] for node in nodes if node.get("node-name") == blocks.DRIVE), "")
        self._disk_base, self._layers = blocks.chain_of(described, self._files.ids)

    @asynccontextmanager
    async def _standing_still(self) -> AsyncIterator[None]:
        """Stop the machine for the body, if it runs, and let it go on whatever happens there."""
        running = await self.is_running()
        if running:
            await self.stop()
        try:
            yield
        finally:
            if running:
                await self.cont()

    @asynccontextmanager
    async def _device_file(self) -> AsyncIterator[tuple[int, str]]:
        """A memfd and the name under which QEMU, which may open no file, can write to it."""
        with os.fdopen(_memfd(), "rb", buffering=0) as file:
            writer = os.open(f"/proc/self/fd/{file.fileno()}", os.O_WRONLY | os.O_CLOEXEC)
            try:
                added = await self._monitor.execute_with(writer, "add-fd")
            finally:
                os.close(writer)
            number = added["fdset-id"]
            try:
                yield file.fileno(), f"/dev/fdset/{number}"
            finally:
                with contextlib.suppress(MachineFailed):
                    await self._monitor.execute("remove-fd", fdset_id=number)

    def _forget_devices(self) -> None:
        descriptor, self._devices = self._devices, None
        if descriptor is not None:
            os.close(descriptor)

    async def _lay(self, below: blocks.Node, layer: blocks.Node) -> None:
        """Add a node and put a layer on it. Both are sent at once; the first refusal is raised."""
        added = self._monitor.send("blockdev-add", **below)
        reopened = self._monitor.send("blockdev-reopen", options=[layer])
        await added
        await reopened

    async def _remove(self, node: str) -> None:
        """Delete a node. One that was described inside another has gone with that already."""
        with contextlib.suppress(MachineFailed):
            await self._monitor.execute("blockdev-del", node_name=node)


def socket_path(home: Home, machine: str, channel: str) -> Path:
    """Where a machine listens for `qmp`, `agent` or `console`."""
    return home.machines / f"{machine}.{channel}"


def _listen(path: Path) -> socket.socket:
    """A listening socket made before QEMU runs: a client connects at once, nothing polls."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        check_directory(path.parent)  # QEMU does not ask who connects
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        listener.listen(4)
    except OSError as error:
        listener.close()
        raise disk_error(error, path) from error
    return listener


def _memfd() -> int:
    return memory_file("vertui-devices")


def _warm(base: Base, runs: Runs) -> None:
    """Read pages of a base image into the page cache. A damaged page is passed over: whoever needs it will be told."""
    room = bytearray(WARM_BYTES)
    for first, count in runs.tolist():
        for offset in range(first * PAGE_BYTES, (first + count) * PAGE_BYTES, WARM_BYTES):
            size = min(WARM_BYTES, (first + count) * PAGE_BYTES - offset)
            with contextlib.suppress(OSError):
                os.preadv(base.descriptor, [memoryview(room)[:size]], offset)


def _copy_file(source: Path, target: Path) -> None:
    """Copy by the kernel, sharing blocks where the filesystem can."""
    try:
        with source.open("rb") as reader, target.open("xb") as writer:
            size = os.fstat(reader.fileno()).st_size
            while size:
                size -= os.copy_file_range(reader.fileno(), writer.fileno(), size)
    except OSError as error:
        raise disk_error(error, target, file_bytes(source)) from error
