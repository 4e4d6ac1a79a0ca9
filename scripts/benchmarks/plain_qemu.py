"""QEMU as people drive it without vertui, on the same kernel, disk and machine options: booted, migrated, snapshotted.

Two options differ, each to the peer's good: memory is QEMU's own kind (memory-backend-ram), and the disk is one qcow2
file over the image's, as `savevm` needs it.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.guest.client import AgentClient
from core.home import Home
from core.image.kernel import KERNEL_ARGS
from core.machine.arguments import AGENT_FD, BASE_FD, CONSOLE_FD, QMP_FD, TAP_FD, arguments
from core.machine.blocks import DRIVE
from core.machine.monitor import Monitor
from core.machine.protocol import Boot, Layer
from core.model import Image

CHANNELS = {"qmp": QMP_FD, "agent": AGENT_FD, "console": CONSOLE_FD}
ANSWER_DEADLINE_S = 120.0
POLL_S = 0.002
FASTEST = 1 << 40  # bytes a second a migration may take: the default of 128 MiB would be unfair


@dataclass
class Qemu:
    """One process, paused; its sockets lie in a directory of its own."""

    work: Path
    process: subprocess.Popen[bytes]
    monitor: Monitor
    agent: AgentClient | None = None

    async def answered(self) -> None:
        """Let it run and wait for its agent's first answer."""
        await self.monitor.execute("cont")
        await self.greet()

    async def greet(self) -> None:
        """Wait for the agent."""
        self.agent = await AgentClient.connect(self.work / "agent", ANSWER_DEADLINE_S)
        await self.agent.ping()

    async def human(self, line: str) -> None:
        """A command of QEMU's human monitor, which prints only what went wrong."""
        told = await self.monitor.execute("human-monitor-command", command_line=line)
        if told.strip():
            raise SystemExit(f"{line}: {told.strip()}")

    async def save(self, to: Path) -> None:
        """Migrate into a file, all of its memory, and stand still."""
        await self._set_speed()
        descriptor = os.open(to, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            await self.monitor.execute_with(descriptor, "getfd", fdname="out")
        finally:
            os.close(descriptor)
        await self.monitor.execute("stop")
        await self.monitor.execute("migrate", uri="fd:out")
        await self._migrated()

    async def load(self, saved: Path) -> None:
        """Take a saved machine's place; paused still."""
        descriptor = os.open(saved, os.O_RDONLY)
        try:
            await self.monitor.execute_with(descriptor, "getfd", fdname="in")
        finally:
            os.close(descriptor)
        await self.monitor.execute("migrate-incoming", uri="fd:in")
        await self._migrated()

    async def end(self) -> None:
        """End the process; idempotent."""
        if self.agent:
            await self.agent.close()
        self.process.kill()
        self.monitor.close()
        await asyncio.to_thread(self.process.wait)

    async def _set_speed(self) -> None:
        await self.monitor.execute("migrate-set-parameters", max_bandwidth=FASTEST)

    async def _migrated(self) -> None:
        while (status := await self._migration()) != "completed":
            if status == "failed":
                raise SystemExit("QEMU's migration failed")
            await asyncio.sleep(POLL_S)

    async def _migration(self) -> str:
        told: dict[str, Any] = await self.monitor.execute("query-migrate")
        return str(told.get("status", ""))


@dataclass(frozen=True)
class Bench:
    """An image's files, and a directory for machines' disks and sockets."""

    home: Home
    image: Image
    work: Path
    started: list[Qemu] = field(default_factory=list)

    def disk(self, name: str, below: Path | None = None, kind: str = "raw") -> Path:
        """A new qcow2 file over the image's root disk, or over another."""
        path = self.work / f"{name}.qcow2"
        backing = below or self.home.images / self.image.id / "root.raw"
        run("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(backing), "-F", kind, str(path))
        return path

    async def start(self, disk: Path, *, boot: bool) -> Qemu:
        """A process that will boot, or that waits for a saved machine."""
        work = self.work / disk.stem
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        with _listening(work) as descriptors:
            process = subprocess.Popen(
                ["python3", "-c", _EXEC, *map(str, descriptors), *self._arguments(disk, boot)],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stderr=(self.work / "qemu.log").open("ab"),
            )
        machine = Qemu(work, process, Monitor(disk.stem, lambda _: None))
        self.started.append(machine)
        await machine.monitor.connect(work / "qmp")
        return machine

    async def end(self) -> None:
        """End every machine that still runs; idempotent."""
        ended, self.started[:] = list(self.started), []
        await asyncio.gather(*(machine.end() for machine in ended))

    def _arguments(self, disk: Path, boot: bool) -> list[str]:
        files = self.home.images / self.image.id
        kernel = Boot(files / "vmlinux", files / "initrd", KERNEL_ARGS) if boot else None
        argv = arguments(disk.stem, self.image.spec, Layer("none", disk), kernel)
        spec = self.image.spec
        return _replaced(argv, {
            "memory-backend-file,": f"memory-backend-ram,id=ram,size={spec.memory_bytes}",
            '{"driver": "raw"': f"driver=qcow2,node-name={DRIVE},file.driver=file,file.filename={disk}",
            '{"driver": "qcow2"': "driver=null-co,node-name=none,read-only=on",
            "tap,id=net,": "user,id=net,restrict=on",
        })  # fmt: skip


def run(*command: str) -> str:
    """A command's output; SystemExit with its last words when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise SystemExit(f"{command[0]}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


# Puts the listening sockets where the command line has them: Popen passes descriptors, but does not move them.
_EXEC = (
    "import os, sys\n"
    f"at = {list(CHANNELS.values())}\n"
    "high = [os.dup2(int(sys.argv[1 + n]), 100 + n) for n in range(len(at))]\n"
    "[os.dup2(have, want) for have, want in zip(high, at)]\n"
    "os.execvp(sys.argv[1 + len(at)], sys.argv[1 + len(at):])"
)


def _replaced(argv: Sequence[str], changes: dict[str, str]) -> list[str]:
    """Each option that begins so, in another form; SystemExit when the command line has come to look different."""
    found = [next((new for start, new in changes.items() if word.startswith(start)), word) for word in argv]
    if missing := [start for start, new in changes.items() if new not in found]:
        raise SystemExit(
            f"core.machine.arguments has no option {missing[0]}…: change scripts/benchmarks/plain_qemu.py"
        )
    return found


@contextlib.contextmanager
def _listening(work: Path) -> Iterator[list[int]]:
    """The machine's sockets, made before it runs."""
    assert (BASE_FD, TAP_FD) == (3, 4)  # unused here
    with contextlib.ExitStack() as stack:
        descriptors = []
        for name in CHANNELS:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            listener.bind(str(work / name))
            listener.listen(4)
            descriptors.append(listener.fileno())
        yield descriptors
