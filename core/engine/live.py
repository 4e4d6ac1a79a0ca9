"""A branch's machine while it lives: process, network, agent and console in one place."""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from core.async_sockets import open_line
from core.commands import LastCommand
from core.engine.busy import Busy
from core.engine.refusals import Refusals
from core.errors import Conflict, GuestFailed, MachineFailed, VertuiError
from core.guest.client import AgentClient
from core.guest.clock import PROMPT_S, set_clock
from core.guest.connection import Line
from core.journal.entry import JournalExec
from core.machine.protocol import Machine
from core.names import spelled
from core.network.protocol import Network
from core.patience import patient

CONSOLE_BYTES = 64 * 1024  # what a viewer sees of the past
CONSOLE_WAITING = 256  # chunks a slow viewer may lag behind before it misses some
FREEZE_S = patient(1.0)  # a guest that takes longer is committed unquiesced; on a busy host it takes some
AGAIN_DEADLINE_S = patient(15.0)  # for an agent that its guest's init has to start again
CONNECT_DEADLINE_S = patient(60.0)  # eight children under emulation share two cores for their first answer


class Console:
    """The last bytes a machine's console printed, and who wants the next: guest bytes, never interpreted."""

    def __init__(self) -> None:
        self._past: deque[bytes] = deque()
        self._size = 0
        self._viewers: set[asyncio.Queue[bytes | None]] = set()
        self._line: Line | None = None
        self._task: asyncio.Task[None] | None = None
        self.typed = -math.inf  # when somebody last typed into it (monotonic)

    async def open(self, path: Path) -> None:
        """Connect to the machine's console socket and start reading."""
        with contextlib.suppress(OSError):
            await self.move(await open_line(path))

    async def move(self, line: Line | None) -> Line | None:
        """Go on over another socket. Returns the one left, still open. Viewers and the kept past stay."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        left, self._line = self._line, line
        self._task = asyncio.create_task(self._read(line[0])) if line else None
        return left

    async def close(self) -> None:
        """Stop reading, and end what is viewed; idempotent."""
        await hang_up(await self.move(None))
        for viewer in self._viewers:
            if viewer.full():
                viewer.get_nowait()
            viewer.put_nowait(None)

    @property
    def text(self) -> bytes:
        """What is kept of the past."""
        return b"".join(self._past)

    @property
    def last_words(self) -> str:
        """What the machine printed last, in words."""
        lines = [line.strip() for line in self.text.split(b"\n")]
        return f"it last said: {spelled(next(filter(None, reversed(lines)), b'nothing'))}"

    async def write(self, data: bytes) -> None:
        """Type into the console."""
        if self._line is None:
            raise GuestFailed("this machine's console cannot be reached")
        self.typed = time.monotonic()
        self._line[1].write(data)
        await self._line[1].drain()

    async def view(self) -> AsyncIterator[bytes]:
        """The past, then everything as it is printed, until the console is closed."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(CONSOLE_WAITING)
        self._viewers.add(queue)
        try:
            yield self.text
            while (data := await queue.get()) is not None:
                yield data
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


async def hang_up(*lines: Line | None) -> None:
    """Close sockets. Never fails, and does not wait for a machine to read what is still unsent."""
    for line in lines:
        if line:
            line[1].transport.abort()
            with contextlib.suppress(OSError):
                await line[1].wait_closed()


@dataclass(frozen=True)
class Lines:
    """Sockets to a machine's agent and console."""

    agent: Line
    console: Line | None

    @classmethod
    async def to(cls, machine: Machine) -> "Lines":
        """Connect to a machine before its guest is loaded: the guest then finds both lines connected, as they were."""
        try:
            agent = await open_line(machine.agent_socket)
            return cls(agent, await open_line(machine.console_socket))
        except OSError as error:
            raise MachineFailed(f"machine {machine.id} cannot be reached: {error.strerror}") from error

    async def close(self) -> None:
        """Hang up; never fails."""
        await hang_up(self.agent, self.console)


class Live:
    """One branch's machine with everything that belongs to it. `lock` makes captures and state changes take turns.

    `base` is the commit whose memory it maps, None while an image boots on zeros; `moved` when it last went over to
    another process (monotonic).
    """

    def __init__(self, branch: str, machine: Machine, network: Network, base: str | None = None) -> None:
        self.branch = branch
        self.base = base
        self.machine = machine
        self.network = network
        self.console = Console()
        self.lock = asyncio.Lock()
        self.reaching = asyncio.Lock()  # what its network lets out is changed by one at a time
        self.refused = Refusals()
        self.closing = False
        self.ended = False
        self.quiesced = False
        self.unfrozen = ""  # why the last attempt to freeze the guest failed
        self.answers = True  # whether its agent was there after that
        self.stall = asyncio.Event()  # set while the machine stands still because the host's disk is full
        self.moved = -math.inf
        self.visits: set[asyncio.Task[None]] = set()  # of who came by a published port
        self.followers = 0  # of commands
        self.used = time.monotonic()  # when somebody last came or left: it is not idle before
        self.admitting: asyncio.Task[str] | None = None  # the guest is asked once for all who come at once
        self.guests = 1  # how many it has had: one that is restored gets another
        self.last: LastCommand | None = None  # as it was when somebody last looked
        self.busy = Busy()
        self.begun = JournalExec(())  # the command that its fork began in it; no words for none
        self.may_work = True  # whether a command may have done anything since then
        self._agent: AgentClient | None = None
        self._connecting = asyncio.Lock()
        self._paused: contextlib.AsyncExitStack | None = None
        self._frozen = (
            False  # as far as this daemon did it, or a guest that has just begun to run was captured so
        )
        self._clock: asyncio.Task[None] | None = None

    async def agent(self) -> AgentClient:
        """The line to the guest; one that was lost is made again. Conflict while the branch is paused."""
        if self._paused is not None:
            raise Conflict("the branch is paused: `vertui resume BRANCH` lets it run on")
        if self.stall.is_set():
            raise Conflict(
                "the host's disk is full and the branch stands still: it goes on once there is room"
            )
        async with self._connecting:
            if self._agent is None or self._agent.lost:
                await self._close_agent()
                self._agent = await AgentClient.connect(self.machine.agent_socket, AGAIN_DEADLINE_S)
                if not self._frozen:  # an agent that was started anew finds the guest as the last one left it
                    await self.thaw()
            return self._agent

    @property
    def lost(self) -> bool:
        """Is there no line to the guest?"""
        return self._agent is None or self._agent.lost

    @property
    def paused(self) -> bool:
        """Is the machine stopped until `resume`?"""
        return self._paused is not None

    async def connect(self, within_s: float = CONNECT_DEADLINE_S) -> AgentClient:
        """Greet the agent of a guest that has just begun to run; it stays frozen until `thaw`."""
        self._frozen = True
        self._agent = await AgentClient.connect(self.machine.agent_socket, within_s)
        return self._agent

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        """For the body somebody follows a command of the guest's."""
        self.followers, self.used = self.followers + 1, time.monotonic()
        try:
            yield
        finally:
            self.followers, self.used = self.followers - 1, time.monotonic()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[bool]:
        """For the body requests are held back, and the guest is frozen and synced; yields whether it could be.

        The guest of a paused branch is frozen already. Whatever happens in the body, a guest frozen here is thawed.
        """
        async with contextlib.AsyncExitStack() as stack:
            if self._paused is not None or self.stall.is_set():
                yield self.quiesced and not self.stall.is_set()
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
        self.correct_clock()

    async def found_paused(self, quiesced: bool) -> None:
        """Take over a branch that was paused under an earlier daemon; `quiesced` says whether its guest is frozen."""
        self.quiesced = quiesced
        self._paused = contextlib.AsyncExitStack()
        self._paused.push_async_callback(self._awake_again)

    async def _awake_again(self) -> None:
        await self.connect()
        await self.thaw()

    async def thaw(self) -> None:
        """Set the guest's clock and let its processes run. When its answer was slow, the clock is set again afterwards.

        GuestFailed when there is no line to the guest: the machine has ended, or nobody has greeted it.
        """
        self._frozen = False
        if self._agent is None:
            raise GuestFailed("the line to the guest was closed")
        late_s = await self._agent.thaw()
        if late_s is not None and late_s > PROMPT_S:
            self.correct_clock()

    def correct_clock(self) -> None:
        """Set the clock of a guest that runs, in the background: nobody waits for one that does not answer.

        Begun anew when that is still going on: it may be asking a machine that this branch has left since.
        """
        if self._clock is not None:
            self._clock.cancel()
        if self._paused is None and not self.closing:
            self._clock = asyncio.create_task(self._set_clock())

    async def _set_clock(self) -> None:
        with contextlib.suppress(VertuiError):
            await set_clock(await self.agent())

    async def move(self, machine: Machine, base: str | None, lines: Lines) -> Lines:
        """Go over to another machine that has this one's state. Returns the lines to the machine left, still open.

        To be called in the body of `held`, and only if the guest could be frozen.
        """
        if self._agent is None:
            raise GuestFailed("the line to the guest was closed")
        left = Lines(await self._agent.move(lines.agent), await self.console.move(lines.console))
        self.machine, self.base = machine, base
        return left

    async def become(self, other: "Live") -> None:
        """Go over to the machine of `other`, a fresh one on the same network whose guest is still frozen.

        Streams of the former guest's commands end; whoever watches the console goes on.
        """
        left, self._agent, other._agent = self._agent, other._agent, None
        self.machine, self.base, self._paused, self._frozen = other.machine, other.base, None, True
        self.guests += 1
        self.last, self.may_work = None, True
        self._cut_off()
        await hang_up(await self.console.move(await other.console.move(None)))
        if left is not None:
            await left.close()

    async def close(self) -> None:
        """End the machine and remove what belongs to it; idempotent, never fails."""
        self._let_go()
        for step in (self._close_agent, self.console.close, self.machine.close, self._close_network):
            with contextlib.suppress(Exception):
                await step()

    async def leave(self) -> None:
        """Let go of a machine that runs on: the daemon ends, the machine does not."""
        self._let_go()
        with contextlib.suppress(Exception):
            await self._close_agent()
        await self.console.close()

    def _let_go(self) -> None:
        self.closing = True
        self._cut_off()
        if self._clock is not None:
            self._clock.cancel()

    def _cut_off(self) -> None:
        """Let who came by a published port know that what they spoke to is no more."""
        for visit in self.visits:
            visit.cancel()

    async def _close_agent(self) -> None:
        if self._agent is not None:
            agent, self._agent = self._agent, None
            await agent.close()

    async def _close_network(self) -> None:
        await asyncio.to_thread(self.network.close)

    async def _freeze(self, stack: contextlib.AsyncExitStack) -> bool:
        self.unfrozen, self.answers = "", True
        try:
            agent = await self.agent()
            await stack.enter_async_context(agent.gate())
            await agent.freeze(FREEZE_S)
        except GuestFailed as error:
            stack.callback(self.correct_clock)  # what runs on unfrozen is stopped all the same
            self.unfrozen, self.answers = str(error), await self._runs_on()
            return False
        self._frozen = True
        stack.push_async_callback(self._thaw)
        return True

    async def _runs_on(self) -> bool:
        """Does the agent answer, its guest not frozen? If not, a machine started from this state might never answer."""
        try:
            return not await (await self.agent()).ping()
        except GuestFailed:
            return False

    async def _thaw(self) -> None:
        """Thaw the guest, over a new line if need be. When that fails, the requests that follow find the guest lost."""
        self._frozen = False
        with contextlib.suppress(VertuiError):
            if self._agent is None or self._agent.lost:
                await self.agent()
            else:
                await self.thaw()
