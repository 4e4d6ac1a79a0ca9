"""The agent run on this machine in a cgroup of its own, spoken to by its client over a line like QEMU's."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

from core.guest.agent import wire
from core.guest.client import AgentClient
from core.guest.streams import CommandExit, CommandOutput, CommandStream, StreamName
from tests.guests import reached

ROOT = Path(__file__).parents[2]
AGENT = r"""
import os
import sys
from core.guest.agent.cgroup import WorkGroup
from core.guest.agent.clock import Clock
from core.guest.agent.server import Server
class Unset(Clock):
    def set(self, unix_time_ns): pass  # this is the host's own
os.set_inheritable(int(sys.argv[1]), False)
server = Server(int(sys.argv[1]), WorkGroup(sys.argv[2]), Unset())
server.listen_for_notes(f"\0vertui-test-{os.getpid()}")
server.run()
"""
MEGABYTE = 1 << 20
HALF_WINDOW = wire.WINDOW_BYTES // 2
PATIENCE_S = 60.0  # a busy host stands still for ten seconds and more


def cgroup_root() -> Path | None:
    """Where this machine has a cgroup v2 hierarchy."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return next((Path(fields[1]) for fields in mounts if fields[2] == "cgroup2"), None)


class Line:
    """What QEMU's chardev is to the agent: one end stays while clients at the other come and go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.agent_pid = 0
        self.last_sent = b""
        self._turn = asyncio.Lock()
        self.agent_end, self._end = socket.socketpair()
        self._end.setblocking(False)

    @property
    def note_address(self) -> str:
        """Where the agent takes notes."""
        return f"\0vertui-test-{self.agent_pid}"

    async def __aenter__(self) -> "Line":
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._end.close()
        self.agent_end.close()

    async def inject(self, data: bytes) -> None:
        self.last_sent = data
        await asyncio.get_running_loop().sock_sendall(self._end, data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._turn:  # the next client is heard when this one has gone, as QEMU does it
            back = asyncio.create_task(self._carry_back(writer))
            try:
                with suppress(ConnectionError):
                    while data := await reader.read(65536):
                        await self.inject(data)
            finally:
                back.cancel()
                writer.close()

    async def _carry_back(self, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(await asyncio.get_running_loop().sock_recv(self._end, 65536))
            await writer.drain()


@asynccontextmanager
async def started(work: Path, path: Path) -> AsyncIterator[Line]:
    """An agent that runs, behind a line of its own; it must not end by itself."""
    async with Line(path) as line:
        fd = line.agent_end.fileno()
        agent = subprocess.Popen([sys.executable, "-c", AGENT, str(fd), str(work)], pass_fds=[fd], cwd=ROOT)
        line.agent_pid = agent.pid
        try:
            yield line
            assert agent.poll() is None, "the agent has ended"
        finally:
            agent.kill()
            agent.wait()


def connected(line: Line) -> AbstractAsyncContextManager[AgentClient]:
    return reached(line.path, PATIENCE_S)


async def collect(stream: CommandStream) -> tuple[bytes, bytes, CommandExit]:
    """Everything a command writes, checked to be contiguous but for what is said to be dropped."""
    texts = [b"", b""]
    offsets: list[int | None] = [None, None]
    async for item in stream:
        if isinstance(item, CommandExit):
            return texts[0], texts[1], item
        assert offsets[item.stream] in (None, item.offset - item.dropped)
        offsets[item.stream] = item.offset + len(item.data)
        texts[item.stream] += item.data
    raise AssertionError("no exit")


async def output(stream: CommandStream, text: bytes) -> list[CommandOutput]:
    """What came until `text` had been written to standard output."""
    seen: list[CommandOutput] = []
    async with asyncio.timeout(PATIENCE_S):
        async for item in stream:
            assert isinstance(item, CommandOutput), item
            seen.append(item)
            if text in b"".join(part.data for part in seen if part.stream == StreamName.STDOUT):
                return seen
    raise AssertionError("ended")


def ticks(line: Line) -> int:
    """CPU time of the agent, in hundredths of a second."""
    fields = Path(f"/proc/{line.agent_pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def sleeps(line: Line) -> bool:
    """Does the agent, once it has done what it has to, use no more than a tick a second?"""
    for _ in range(int(PATIENCE_S)):
        before = ticks(line)
        await asyncio.sleep(1)
        if ticks(line) - before <= 1:
            return True
    return False
