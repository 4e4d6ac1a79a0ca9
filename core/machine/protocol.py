"""The seam between the engine and whatever runs machines."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.machine.base import Base
from core.model import MachineSpec
from core.pages import Pages, Table


@dataclass(frozen=True)
class Layer:
    """A file of a disk's chain: its id, and its path from the home. The lowest is raw: a commit's view, a root disk."""

    id: str
    path: Path


@dataclass(frozen=True)
class Boot:
    """What a first boot needs besides the disk."""

    kernel: Path
    initrd: Path
    arguments: str


@dataclass(frozen=True)
class MachineState:
    """What `capture` read: changed page numbers (n,), contents (n, 4096), device state, and how long it stood still.

    `layers` are the disk's qcow2 layers below the one the machine writes now, oldest first.
    """

    pages: Pages
    table: Table
    devices: bytes
    layers: tuple[str, ...]
    pause_ms: float


Capture = Callable[[], Awaitable[MachineState]]


class Machine(Protocol):
    """One machine process. Errors are MachineFailed; a failed capture leaves the machine running as it was."""

    id: str
    pid: int

    @property
    def agent_socket(self) -> Path:
        """Where the guest's agent is reached."""
        ...

    @property
    def console_socket(self) -> Path:
        """Where the guest's console is reached."""
        ...

    @property
    def layers(self) -> tuple[str, ...]:
        """The disk's qcow2 layers, oldest first; the last is written."""
        ...

    @property
    def disk_base(self) -> str:
        """The id of the raw file below them."""
        ...

    async def open_disk(self, base: Layer, frozen: Sequence[Layer]) -> None:
        """Put a raw base, and frozen layers over it, oldest first, below the layer that the machine writes."""
        ...

    async def rebase_disk(self, base: Layer, merged: Sequence[str]) -> None:
        """Put a raw base with the same content in place of the present base and the lowest layers, `merged`."""
        ...

    async def load(
        self, base: Layer, frozen: Sequence[Layer], pages: Pages, table: Table, devices: bytes
    ) -> None:
        """Give a machine that has not run yet a disk as `open_disk` does, memory over its base, and a device state; it
        stays paused.
        """
        ...

    def prepared(self, next_layer: Layer) -> AbstractAsyncContextManager[Capture]:
        """Make ready, while the guest runs, what a capture needs. The body takes the capture, at most once.

        The capture freezes the disk and reads everything as of one instant; the machine then goes on and writes
        `next_layer`.
        """
        ...

    def leaving(self, next_layer: Layer, base: Base, places: Pages) -> AbstractAsyncContextManager[Capture]:
        """As `prepared`, but the machine stays stopped, and of its pages only those are read that are unlike `base`.

        They are looked for among the changed pages and among `places`, in which `base` is unlike the present base. What
        is read before, while the guest runs, is all that it works with: that takes hundreds of milliseconds.
        """
        ...

    async def copy_disk(self, to: Path) -> tuple[str, ...]:
        """Copy the layer being written, as of one instant, to a file; the frozen layers below it."""
        ...

    async def read_memory(self) -> tuple[Pages, Table]:
        """The pages that may differ from the base with their contents, as of one instant."""
        ...

    async def stop(self) -> None:
        """Let no vCPU run."""
        ...

    async def cont(self) -> None:
        """Let the vCPUs run."""
        ...

    async def is_running(self) -> bool:
        """Do the vCPUs run?"""
        ...

    async def is_stalled(self) -> bool:
        """Does it stand still because its disk could not be written? Its guest has seen no error, and `cont` tries
        again.
        """
        ...

    async def changed_bytes(self) -> int:
        """Bytes of guest memory that differ from the base."""
        ...

    async def changed_pages(self) -> Pages:
        """The pages that differ from the base, or may."""
        ...

    async def own(self, pages: Pages) -> None:
        """Give a machine that has not run yet its own copies of these pages, with the same content: to write them later
        then takes a quarter of the time.
        """
        ...

    async def close(self) -> None:
        """End the process and remove its sockets; idempotent, never fails."""
        ...


class Hypervisor(Protocol):
    """Starts machines and finds them again."""

    async def start(
        self, machine: str, spec: MachineSpec, base: Base, tap: int, layer: Layer, boot: Boot | None = None
    ) -> Machine:
        """A paused machine on `base` that will write `layer`, an empty one. Nothing of the disk below that is there
        yet. The machine is ready to load, or with `boot` ready to boot. On failure the layer is left.
        """
        ...

    def watch(self, stalled: Callable[[str], None]) -> None:
        """Have `stalled(machine)` called on the event loop when a machine stops, as its disk could not be written."""
        ...

    async def adopt(self, machine: str, spec: MachineSpec, base: Base, pid: int) -> Machine:
        """A machine started by an earlier daemon."""
        ...
