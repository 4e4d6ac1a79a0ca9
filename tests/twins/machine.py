"""`Hypervisor` and `Machine` in memory: a machine is its pages, its layers' names and the guest in it."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import numpy as np

from core.errors import MachineFailed
from core.holder.protocol import Held
from core.home import Home
from core.machine.base import Base
from core.machine.protocol import Boot, Capture, Layer, MachineState
from core.model import PAGE_BYTES, MachineSpec
from core.pages import Pages, Table
from tests.twins.guest import Guest, Port

TICKS_PAGE = 1  # where a guest's memory says what its processes did
PAUSE_MS = 1.0


class TwinMachine:
    """One machine. Its guest does something between two captures, unless it stands still."""

    def __init__(
        self, home: Home, held: Held, id: str, pid: int, base: bytes, layers: tuple[str, ...], *, booted: bool
    ) -> None:
        self.id, self.pid, self.disk_base = id, pid, ""
        self.layers = layers
        self.stalled = False
        self._home, self._held = home, held
        self._base, self._pages = base, dict[int, bytes]()
        self._running, self._ended, self._blank = asyncio.Event(), False, not booted
        self._port = Port(self._running)
        self._servers: list[asyncio.Server] = []

    @property
    def guest(self) -> Guest:
        """What runs in it."""
        return self._port.guest

    def say(self, text: str, kind: str = "note", author: str = "planner") -> str:
        """Have a program of its guest's say a note; its id."""
        return self._port.say(text, kind, author)

    @property
    def agent_socket(self) -> Path:
        """Where the guest's agent is reached."""
        return self._home.machines / f"{self.id}.agent"

    @property
    def console_socket(self) -> Path:
        """Where a console that says nothing is reached."""
        return self._home.machines / f"{self.id}.console"

    async def open(self) -> None:
        """Listen."""
        for path, serve in ((self.agent_socket, self._port.serve), (self.console_socket, _silence)):
            self._servers.append(await asyncio.start_unix_server(serve, path))

    async def open_disk(self, base: Layer, frozen: Sequence[Layer]) -> None:
        """Names of layers are all there is of a disk."""
        self._check()
        self.layers = (*(layer.id for layer in frozen), *self.layers)
        self.disk_base = base.id

    async def rebase_disk(self, base: Layer, merged: Sequence[str]) -> None:
        """The lowest names go."""
        self._check()
        if base.id == self.disk_base or self.layers[: len(merged)] != tuple(merged):
            raise MachineFailed(f"the disk of machine {self.id} does not lie on that")
        self.layers, self.disk_base = self.layers[len(merged) :], base.id

    async def load(
        self, base: Layer, frozen: Sequence[Layer], pages: Pages, table: Table, devices: bytes
    ) -> None:
        """Be what was captured."""
        assert self._blank, "it has run already"
        await self.open_disk(base, frozen)
        for page, content in zip(pages.tolist(), table, strict=True):
            self._pages[page] = content.tobytes()
        self._port.guest, self._blank = Guest.of(devices), False

    @asynccontextmanager
    async def prepared(self, next_layer: Layer) -> AsyncIterator[Capture]:
        """A capture after which it goes on."""
        self._check()
        yield partial(self._captured, next_layer)

    @asynccontextmanager
    async def leaving(self, next_layer: Layer, base: Base, places: Pages) -> AsyncIterator[Capture]:
        """A capture after which it stands still, of what is unlike another base."""
        known = os.pread(base.descriptor, base.size_bytes, 0)

        async def capture() -> MachineState:
            state = await self._captured(next_layer)
            self._running.clear()
            pages = np.union1d(state.pages, places).astype(np.uint32)
            unlike = [page for page in pages.tolist() if self._content(page) != _page(known, page)]
            return MachineState(*self._read(unlike), state.devices, state.layers, PAUSE_MS)

        self._check()
        yield capture

    async def copy_disk(self, to: Path) -> tuple[str, ...]:
        """The file that the engine made for the written layer."""
        self._check()
        shutil.copyfile(self._home.layers / f"{self.layers[-1]}.qcow2", to)
        return self.layers[:-1]

    async def read_memory(self) -> tuple[Pages, Table]:
        """What it changed."""
        self._check()
        return self._read(sorted(self._pages))

    async def stop(self) -> None:
        """Its guest answers nobody."""
        self._check()
        self._live_on()
        self._running.clear()

    async def cont(self) -> None:
        """Its guest answers."""
        self._check()
        if self._blank:
            raise MachineFailed(f"machine {self.id} has not been loaded")
        self.stalled = False
        self._running.set()

    async def is_running(self) -> bool:
        """Unless it was stopped, or stopped itself."""
        self._check()
        return self._running.is_set()

    async def is_stalled(self) -> bool:
        """If a test had it stall."""
        self._check()
        return self.stalled

    async def changed_bytes(self) -> int:
        """By the page."""
        return PAGE_BYTES * len(await self.changed_pages())

    async def changed_pages(self) -> Pages:
        """Those it has of its own."""
        self._check()
        return np.array(sorted(self._pages), np.uint32)

    async def own(self, pages: Pages) -> None:
        """Those it is to have."""
        self._check()
        self._pages |= {page: self._content(page) for page in pages.tolist()}

    async def close(self) -> None:
        """End it."""
        self._held.kill(f"machine:{self.id}")
        self.end()

    def end(self) -> None:
        """Be ended, whoever did it; idempotent."""
        self._ended = True
        for server in self._servers:
            server.close()
        self._port.hang_up()
        for path in (self.agent_socket, self.console_socket):
            path.unlink(missing_ok=True)

    async def _captured(self, next_layer: Layer) -> MachineState:
        """All as of one instant."""
        self._check()
        self._live_on()
        frozen, self.layers = self.layers, (*self.layers, next_layer.id)
        return MachineState(*self._read(sorted(self._pages)), self.guest.devices(), frozen, PAUSE_MS)

    def _live_on(self) -> None:
        """Let the guest have done something if it ran; a page of its memory says so."""
        if self._running.is_set():
            self.guest.ticks += 1
            told = f"{self.guest.hostname} {self.guest.generation} {self.guest.ticks}".encode()
            self._pages[TICKS_PAGE] = told.ljust(PAGE_BYTES, b"\0")

    def _read(self, pages: Sequence[int]) -> tuple[Pages, Table]:
        joined = b"".join(map(self._content, pages))
        return np.array(pages, np.uint32), np.frombuffer(joined, np.uint8).reshape(-1, PAGE_BYTES)

    def _content(self, page: int) -> bytes:
        return self._pages.get(page) or _page(self._base, page)

    def _check(self) -> None:
        if self._ended:
            raise MachineFailed(f"machine {self.id} has ended")


class TwinHypervisor:
    """Its machines are children of the holder's twin, and end with them."""

    def __init__(self, home: Home, held: Held) -> None:
        self.machines: dict[str, TwinMachine] = {}
        self._home, self._held = home, held
        self._stalled: Callable[[str], None] = lambda machine: None

    async def start(
        self, machine: str, spec: MachineSpec, base: Base, tap: int, layer: Layer, boot: Boot | None = None
    ) -> TwinMachine:
        """Paused."""
        assert tap >= 0, "a machine needs a network"
        pid = self._held.spawn(f"machine:{machine}", ["qemu"], self._home.log / "machines.log", [tap])
        content = os.pread(base.descriptor, base.size_bytes, 0)
        made = self.machines[machine] = TwinMachine(
            self._home, self._held, machine, pid, content, (layer.id,), booted=boot is not None
        )
        await made.open()
        return made

    def watch(self, stalled: Callable[[str], None]) -> None:
        """For `stall`."""
        self._stalled = stalled

    async def adopt(self, machine: str, spec: MachineSpec, base: Base, pid: int) -> TwinMachine:
        """The same one."""
        found = self.machines.get(machine)
        if found is None or found.pid != pid:
            raise MachineFailed(f"machine {machine} has ended")
        return found

    def stall(self, machine: str) -> None:
        """Let one stand still, as if the host's disk were full."""
        self.machines[machine].stalled = True
        self.machines[machine]._running.clear()
        self._stalled(machine)


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


def _page(base: bytes, page: int) -> bytes:
    return base[page * PAGE_BYTES : (page + 1) * PAGE_BYTES]
