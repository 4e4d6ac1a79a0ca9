"""A branch's machine while it lives: process, network, agent and console in one place."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from core.errors import Conflict, GuestFailed
from core.guest.client import AgentClient
from core.machine.protocol import Machine
from core.network.protocol import Network

CONSOLE_BYTES = 64 * 1024  # what a viewer sees of the past
CONSOLE_WAITING = 256  # chunks a slow viewer may lag behind before it misses some
FREEZE_S = 0.25  # a guest that cannot be frozen in this time is committed unquiesced
AGAIN_DEADLINE_S = 15.0  # for an agent that its guest's init has to start again
CONNECT_DEADLINE_S = 60.0  # eight children under emulation share two cores for their first answer


class Console:
    """The last bytes a machine's console printed, and who wants the next: guest bytes, never interpreted."""

    def __init__(self) -> None:
        self._past: deque[bytes] = deque()
        self._size = 0
        self._viewers: set[asyncio.Queue[bytes]] = set()
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self, path: Path) -> None:
        """Connect to the machine's console socket and start reading."""
        with contextlib.suppress(OSError):
            reader, self._writer = await asyncio.open_unix_connection(str(path))
            self._task = asyncio.create_task(self._read(reader))

    async def close(self) -> None:
        """Stop reading; idempotent."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._writer:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    @property
    def text(self) -> bytes:
        """What is kept of the past."""
        return b"".join(self._past)

    async def write(self, data: bytes) -> None:
        """Type into the console."""
        if self._writer is None:
            raise GuestFailed("this machine's console cannot be reached")
        self._writer.write(data)
        await self._writer.drain()

    async def view(self) -> AsyncIterator[bytes]:
        """The past, then everything as it is printed."""
        queue: asyncio.Queue[bytes] = asyncio.Queue(CONSOLE_WAITING)
        self._viewers.add(queue)
        try:
            yield self.text
            while True:
                yield await queue.get()
        finally:
            self._viewers.discard(queue)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(16 * 1024):
                self._past.append(data)
                self._size += len(data)
                while self._size > CONSOLE_BYTES:
                    self._size -= len(self._past.popleft())
                for viewer in self._viewers:
                    with contextlib.suppress(asyncio.QueueFull):
                        viewer.put_nowait(data)


class Live:
    """One branch's machine with everything that belongs to it. `lock` makes captures and state changes take turns.

    `base` is the commit whose memory it maps, None while an image boots on zeros.
    """

    def __init__(self, branch: str, machine: Machine, network: Network, base: str | None = None) -> None:
        self.branch = branch
        self.base = base
        self.machine = machine
        self.network = network
        self.console = Console()
        self.lock = asyncio.Lock()
        self.closing = False
        self.ended = False
        self.quiesced = False
        self._agent: AgentClient | None = None
        self._connecting = asyncio.Lock()
        self._paused: contextlib.AsyncExitStack | None = None

    async def agent(self) -> AgentClient:
        """The line to the guest; one that was lost is made again. Conflict while the branch is paused."""
        if self._paused is not None:
            raise Conflict("the branch is paused: `vertui resume` lets it run on")
        async with self._connecting:
            if self._agent is None or self._agent.lost:
                await self._close_agent()
                self._agent = await AgentClient.connect(self.machine.agent_socket, AGAIN_DEADLINE_S)
            return self._agent

    async def connect(self) -> AgentClient:
        """Greet the agent of a guest that has just begun to run."""
        self._agent = await AgentClient.connect(self.machine.agent_socket, CONNECT_DEADLINE_S)
        return self._agent

    @asynccontextmanager
    async def held(self) -> AsyncIterator[bool]:
        """Requests held back and the guest frozen and synced for the body; yields whether it could be.

        A paused branch is so already. The guest is thawed whatever happens in the body.
        """
        async with contextlib.AsyncExitStack() as stack:
            if self._paused is not None:
                yield self.quiesced
                return
            yield await self._freeze(stack)

    async def pause(self) -> None:
        """Quiesce the guest and stop its machine until `resume`."""
        if self._paused is not None:
            raise Conflict("the branch is paused already")
        async with contextlib.AsyncExitStack() as stack:
            self.quiesced = await self._freeze(stack)
            await self.machine.stop()
            self._paused = stack.pop_all()

    async def resume(self) -> None:
        """Let a paused machine and then its guest run on."""
        if self._paused is None:
            raise Conflict("the branch is not paused")
        await self.machine.cont()
        stack, self._paused = self._paused, None
        await stack.aclose()

    async def found_paused(self, quiesced: bool) -> None:
        """What a new daemon knows of a branch that was paused under an earlier one."""
        self.quiesced = quiesced
        self._paused = contextlib.AsyncExitStack()
        self._paused.push_async_callback(self._awake_again)

    async def _awake_again(self) -> None:
        await (await self.connect()).thaw()

    async def close(self) -> None:
        """End the machine and remove what belongs to it; idempotent, never fails."""
        self.closing = True
        for step in (self._close_agent, self.console.close, self.machine.close, self._close_network):
            with contextlib.suppress(Exception):
                await step()

    async def leave(self) -> None:
        """Let go of a machine that runs on: the daemon ends, the machine does not."""
        self.closing = True
        with contextlib.suppress(Exception):
            await self._close_agent()
        await self.console.close()

    async def _close_agent(self) -> None:
        if self._agent is not None:
            agent, self._agent = self._agent, None
            await agent.close()

    async def _close_network(self) -> None:
        await asyncio.to_thread(self.network.close)

    async def _freeze(self, stack: contextlib.AsyncExitStack) -> bool:
        try:
            agent = await self.agent()
            await stack.enter_async_context(agent.gate())
            await agent.freeze(FREEZE_S)
        except GuestFailed:
            return False
        stack.push_async_callback(self._thaw)
        return True

    async def _thaw(self) -> None:
        """A guest that cannot be thawed is seen as lost by the requests that follow."""
        if self._agent is not None:
            with contextlib.suppress(GuestFailed):
                await self._agent.thaw()
