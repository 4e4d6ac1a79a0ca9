"""AgentClient: the host's end of everything the agent can do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar

from core.errors import GuestFailed
from core.guest import answers
from core.guest.agent import wire
from core.guest.connection import Connection, Fields, Line, request_frame
from core.guest.identity import Identity
from core.guest.notes import GuestNote, put_together
from core.guest.streams import UNKNOWN, CommandStream
from core.model import Command, Process
from core.names import spelled
from core.patience import patient

T = TypeVar("T")
ANSWER_DEADLINE_S = patient(10.0)
"""Far above what a busy guest takes (milliseconds to a second), short enough for somebody waiting."""

NEVER_TOO_LATE = ("thaw", "detach")
"""Requests that do good whenever they are carried out."""

SYNC_DEADLINE_S = patient(10.0)
"""What the two syncs around a freeze may add to its own deadline."""

ADMIT_DEADLINE_S = patient(60.0)
"""How long one more may wait to be let in: each session before it has the agent start an sshd."""


class AgentClient:
    """One line to one guest's agent. Requests may overlap; all fail with GuestFailed once the line is lost.

    A client stays valid while its guest is captured: `async with client.gate()` keeps new requests waiting and leaves
    nothing half written, only `freeze`, `thaw`, `identity` and `ping` pass. A forked guest gets a client of its own,
    which follows inherited commands with `attach`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    async def connect(cls, socket_path: Path, deadline_s: float) -> AgentClient:
        """Greet the agent behind QEMU's chardev socket, waiting for both to come up; GuestFailed after the deadline."""
        return cls(await Connection.connect(socket_path, deadline_s))

    async def close(self) -> None:
        """End the line. Commands in the guest run on."""
        await self._connection.close()

    async def move(self, line: Line) -> Line:
        """Reach the guest, frozen behind the gate, in another process from now on; the socket left, still open.

        Commands followed and requests waiting go on as if nothing had happened.
        """
        return await self._connection.move(line)

    @property
    def knows_keys(self) -> bool:
        """Does this agent know a request that is made again? That of an image of an earlier version does not."""
        return self._connection.protocol > 1

    @property
    def takes_notes(self) -> bool:
        """Does this agent take what programs have to say for the journal?"""
        return self._connection.protocol > 3

    @property
    def lost(self) -> bool:
        """Has the line ended, so that only a new client reaches the guest?"""
        return self._connection.lost

    def gate(self) -> AbstractAsyncContextManager[None]:
        """Hold everything but the capture's own requests back for the time of a block."""
        return self._connection.gate()

    async def request(self, kind: type[T], op: str, **fields: Any) -> T:
        """Ask the agent for `op` and wait for its answer; GuestFailed with its reason when it refuses."""
        return await self._request(kind, op, fields)

    async def _request(
        self,
        kind: type[T],
        op: str,
        fields: Fields,
        *,
        urgent: bool = False,
        deadline_s: float = ANSWER_DEADLINE_S,
    ) -> T:
        answer: asyncio.Future[wire.Frame] = asyncio.get_running_loop().create_future()
        channel = self._connection.open_channel(_settle(answer), _fail(answer))
        undo = b"" if op in NEVER_TOO_LATE else wire.frame(wire.CANCEL, channel)
        try:
            request = request_frame(channel, op, fields)
            frame = await self._connection.ask(request, answer, deadline_s, undo=undo, urgent=urgent)
            if frame.type == wire.ERROR:
                raise GuestFailed(f"{op}: {answers.problem(frame)}")
            return answers.payload(frame, kind)
        except TimeoutError as error:
            raise GuestFailed(f"the agent did not answer {op} within {deadline_s:g} s: {UNKNOWN}") from error
        finally:
            self._connection.close_channel(channel)
            answer.cancel()

    async def exec(
        self,
        argv: Sequence[str] | str,
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: str | None = None,
        terminal: tuple[int, int] | None = None,
        stdin: bool = False,
        timeout_s: float | None = None,
        lossless: bool = False,
        owner_s: float = 0,
        key: str | None = None,
        inner: bool = False,
        before: Sequence[str] = (),
    ) -> CommandStream:
        """Start a command (a list of words, or a line for sh) in a session of its own and follow it.

        `terminal` is (rows, columns) and makes stdout and stderr one stream. After `timeout_s` all it started is
        killed and the exit code is 124. A program that cannot be run says so on stderr and ends with 127 or 126.
        `lossless` makes the command wait for this client instead of dropping old output. With `owner_s` it hangs up
        when the line breaks and no owner attaches again within that time. A request repeated with the same `key`
        follows the command that the first has started. An `inner` one is not told by `ps`. The program `before` is
        started in the command's place, as root with its words as arguments, and becomes it; `ps` does not tell of that.
        """
        fields: Fields = {
            "argv": argv if isinstance(argv, str) else list(argv),
            "env": dict(env or {}),
            "cwd": cwd,
            "user": user,
            "tty": terminal is not None,
            "rows": terminal[0] if terminal else 0,
            "columns": terminal[1] if terminal else 0,
            "stdin": stdin or terminal is not None,
            "timeout_s": timeout_s,
            "lossless": lossless,
            "owner_s": owner_s,
            "key": key,
            "inner": inner,
            "before": list(before),
        }
        return await self._follow("exec", (0, 0), fields)

    async def attach(
        self, command: int, stdout_offset: int = 0, stderr_offset: int = 0, *, owner_s: float = 0
    ) -> CommandStream:
        """Follow a command from these offsets, also one inherited by a fork or already finished."""
        offsets = (stdout_offset, stderr_offset)
        fields: Fields = {
            "id": command,
            "stdout_offset": stdout_offset,
            "stderr_offset": stderr_offset,
            "owner_s": owner_s,
        }
        return await self._follow("attach", offsets, fields)

    async def _follow(self, op: str, offsets: tuple[int, int], fields: Fields) -> CommandStream:
        stream = CommandStream(self._connection, self.request, offsets)
        undo = wire.frame(wire.CANCEL, stream.channel, wire.KILL if op == "exec" else b"")
        await stream.start(request_frame(stream.channel, op, fields), undo, ANSWER_DEADLINE_S)
        return stream

    async def ps(self) -> list[Command]:
        """Commands running and finished, newest first; as many as fit into one answer (hundreds)."""
        told = await self.request(answers.Commands, "ps")
        return [summary.command for summary in told.commands]

    async def release(self, command: int) -> None:
        """Forget a finished command and its output."""
        await self.request(answers.Done, "release", id=command)

    async def freeze(self, timeout_s: float = 0.25) -> None:
        """Stop every process but the agent and sync; the guest then sends nothing until asked.

        On failure (GuestFailed, with the reason) everything runs again.
        """
        try:
            deadline_s = timeout_s + SYNC_DEADLINE_S
            fields: Fields = {"timeout_s": timeout_s, "sync_s": SYNC_DEADLINE_S}
            await self._request(answers.Done, "freeze", fields, urgent=True, deadline_s=deadline_s)
        except (GuestFailed, asyncio.CancelledError):
            self._connection.post_urgent(request_frame(0, "thaw", {}))
            raise

    async def thaw(self) -> float | None:
        """Let everything run again, its clock set first; harmless when it runs.

        How late the clock may be, in seconds; None where an older image's agent leaves it as it is.
        """
        began = time.monotonic()
        answer = await self._request(answers.Thawed, "thaw", {"unix_time_ns": time.time_ns()}, urgent=True)
        return None if answer.unix_time_ns is None else time.monotonic() - began

    async def identity(self, identity: Identity) -> None:
        """Make a frozen guest this machine; GuestFailed unless it reads every value back."""
        now_ns, began_ns = time.time_ns(), time.monotonic_ns()
        seen = await self._request(answers.ReadBack, "identity", identity.request(now_ns), urgent=True)
        wrong = identity.differences(seen, now_ns, time.monotonic_ns() - began_ns)
        if wrong:
            raise GuestFailed(f"the guest did not take on its identity: {', '.join(wrong)}")

    async def ping(self) -> bool:
        """Is the agent there? Returns whether its guest is frozen."""
        return (await self._request(answers.Pong, "ping", {}, urgent=True)).frozen

    async def admit(self, key: str) -> str:
        """Let the owner of a public key log in to the guest by ssh; the host key by which its sshd is known."""
        if self._connection.protocol < 3:
            raise GuestFailed(
                "its image is of an earlier version, without ssh: `vertui image build` makes a new one"
            )
        fields: Fields = {"key": key}
        shown = await self._request(answers.ShownKey, "admit", fields, deadline_s=ADMIT_DEADLINE_S)
        return shown.host_key

    async def owner(self, protocol: str, port: int, deadline_s: float) -> tuple[int, str]:
        """Whose the socket at a local port is, by pid and name; no pid (0) where the agent finds nobody."""
        fields: Fields = {"protocol": protocol, "port": port}
        told = await self._request(answers.SocketOwner, "owner", fields, deadline_s=deadline_s)
        name = told.name.encode(errors="backslashreplace")  # the guest may say anything
        return max(0, told.pid), spelled(name)

    async def noted(self) -> None:
        """Wait until a program of the guest's has said something for the journal, since this was asked last.
        GuestFailed when the line is lost.
        """
        await self._connection.noted.wait()
        if self.lost:
            raise GuestFailed("the line to the guest was closed")
        self._connection.noted.clear()

    async def note(self) -> GuestNote | None:
        """The note that waits longest, None when none does. It waits until it is answered."""
        return await put_together(lambda at: self.request(answers.NotePiece, "note", at=at))

    async def answer_note(self, id: str, seq: int, problem: str = "") -> None:
        """Tell who said a note that it is on disk as this entry, or what prevents that (0)."""
        await self.request(answers.Done, "noted", id=id, seq=seq, problem=problem)

    async def processes(self) -> list[Process]:
        """What runs, without kernel threads; at most 500."""
        told = await self.request(answers.Processes, "processes")
        return [seen.process for seen in told.processes]

    async def stats(self) -> answers.Stats:
        """Memory, load and uptime."""
        return await self.request(answers.Stats, "stats")


def _settle(answer: asyncio.Future[wire.Frame]) -> Any:
    def receive(frame: wire.Frame) -> None:
        if frame.type not in (wire.REPLY, wire.ERROR):
            raise wire.WireError(f"frame of type {frame.type} for a request")
        if not answer.done():
            answer.set_result(frame)

    return receive


def _fail(answer: asyncio.Future[wire.Frame]) -> Any:
    def fail(failure: GuestFailed) -> None:
        if not answer.done():
            answer.set_exception(GuestFailed(str(failure)))
            answer.exception()  # fetched: a request given up meanwhile is not reported as never retrieved

    return fail
