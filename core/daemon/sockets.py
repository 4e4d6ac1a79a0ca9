"""Exec, attach and console over WebSockets; the messages are described in `core.daemon.streams`."""

import contextlib
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from core.codec import decode
from core.daemon.relay import follow, follow_console
from core.daemon.wire import AttachStart, ConsoleStart, ExecStart
from core.engine import endings, scoring
from core.engine.beginning import begin
from core.engine.context import Engine
from core.engine.fate import followed
from core.engine.glance import glance
from core.engine.live import Live
from core.engine.operations import note
from core.engine.recording import CommandRecord
from core.engine.wake import wake_named
from core.errors import GuestFailed, UsageError, VertuiError
from core.guest.client import AgentClient
from core.guest.streams import CommandStream
from core.model import ExecRequest
from core.patience import patient

logger = logging.getLogger(__name__)
T = TypeVar("T")
LONGEST_SUMMARY = 200  # characters of a command that the log shows
# For a client to come back after the daemon died: a new one takes its time on a busy host.
OWNER_S = patient(120.0)


def add_streams(app: FastAPI, engine: Engine) -> None:
    """Add the three streams to the application."""

    @app.websocket("/v1/exec")
    async def exec_(socket: WebSocket) -> None:
        async with _request(socket, ExecStart) as request:
            if not request.argv:
                raise UsageError("give a command to run")
            await wake_named(engine, request.branch, "exec")
            async with followed(engine, request.branch) as live:
                with _follows(engine, live):
                    await _execute(engine, live, socket, request)

    @app.websocket("/v1/attach")
    async def attach(socket: WebSocket) -> None:
        async with _request(socket, AttachStart) as request:
            if not request.looks:
                await wake_named(engine, request.branch, "attach")
            async with followed(engine, request.branch) as live:
                with contextlib.nullcontext() if request.looks else _follows(engine, live):
                    await _attach(engine, live, socket, request)

    @app.websocket("/v1/console")
    async def console(socket: WebSocket) -> None:
        async with _request(socket, ConsoleStart) as request, followed(engine, request.branch) as live:
            typed = live.console.typed
            try:
                await follow_console(socket, live.console)
            finally:
                if live.console.typed != typed:
                    engine.acting.acts(live.branch)


@contextlib.contextmanager
def _follows(engine: Engine, live: Live) -> Iterator[None]:
    """In the body somebody follows a command: its branch is not idle, and is looked at once it may be."""
    try:
        with live.followed():
            yield
    finally:
        engine.acting.tell(live.branch)


async def _execute(engine: Engine, live: Live, socket: WebSocket, request: ExecStart) -> None:
    """Start a command and be between it and its client."""
    agent = await engine.agent(request.branch)
    if request.again and not agent.knows_keys:
        raise GuestFailed(f"whether the command was started is not known: `vertui ps {request.branch}`")
    if request.argv[0].split(" ")[0] == "vertui-note" and not agent.takes_notes:
        raise GuestFailed(
            "its image is of an earlier version, without vertui-note: `vertui image build` makes a new one"
        )
    head = engine.branch(request.branch).head
    stream = await begin(engine, live, request, owner_s=0 if request.outlives else OWNER_S)
    if request.inner:
        with _acts(engine, live, unless=not request.stdin):  # what only reads gets no input
            if await follow(socket, stream, owner=not request.outlives):
                await agent.release(stream.id)
        return
    record = CommandRecord(engine.journals, live.branch, head, request, stream.id)
    async with _hung_up_on_error(stream):
        note(engine, "exec", f"{request.branch}: {_summary(request)}")
        if request.score:
            scoring.expect(engine, live.branch, stream.id, request.score)
    live.may_work = True
    engine.events.publish("branch", request.branch, f"{request.branch}: command {stream.id} started")
    with engine.acting.command(live.branch):
        ended = await _recorded(engine, socket, stream, record, owner=not request.outlives)
    if ended:
        engine.acting.ends(live.branch)
        engine.events.publish("branch", request.branch, f"{request.branch}: command {stream.id} ended")
    elif not request.lossless:
        _leave(engine, live, record)
    if engine.events.listened:  # its end is shown at once
        await glance(live)
        engine.shows_other(live.branch)


async def _attach(engine: Engine, live: Live, socket: WebSocket, request: AttachStart) -> None:
    """Be between a command that was started before and its client."""
    agent = await engine.agent(request.branch)
    offsets = (request.stdout_offset, request.stderr_offset)
    stream = await agent.attach(request.id, *offsets, owner_s=OWNER_S * request.owner)
    record = None
    if request.owner and engine.unattended.take(live.branch, request.id):
        record = await _taken_up(engine, live, agent, request)
    if record:
        record.pass_over(stream.stdin_sent)
    with _acts(engine, live, unless=request.looks):
        ended = await _recorded(engine, socket, stream, record, owner=request.owner)
    if record and not ended and not (request.asked and request.asked.lossless):
        _leave(engine, live, record)


async def _taken_up(
    engine: Engine, live: Live, agent: AgentClient, request: AttachStart
) -> CommandRecord | None:
    """The record of a command whose client is back after the daemon died; None of one that is a verb's own doing."""
    with contextlib.suppress(GuestFailed):
        head = engine.catalog.branch(live.branch).head
        for begun in await agent.ps():
            if begun.id == request.id:
                return CommandRecord.taken_up(engine.journals, live.branch, head, begun, request.asked)
    return None


def _leave(engine: Engine, live: Live, record: CommandRecord) -> None:
    """Have the end of a command written down whose client has left, if it runs on."""
    if engine.machines.live.get(live.branch) is live:
        endings.expect(engine, record.unattended())


def _acts(engine: Engine, live: Live, *, unless: bool) -> AbstractContextManager[None]:
    """A command does something to the branch in the body."""
    return contextlib.nullcontext() if unless else engine.acting.command(live.branch)


async def _recorded(
    engine: Engine, socket: WebSocket, stream: CommandStream, record: CommandRecord | None, *, owner: bool
) -> bool:
    """Be between a command and its client, and have the journal told how that went; has it ended?"""
    if record is None:
        return await follow(socket, stream, owner=owner)
    with engine.unattended.followed(record.running):
        try:
            return await follow(socket, stream, owner=owner, record=record)
        finally:
            record.close()


@contextlib.asynccontextmanager
async def _request(socket: WebSocket, kind: type[T]) -> AsyncIterator[T]:
    """The first message; a refusal in the body is sent, a client that left is no error."""
    await socket.accept()
    try:
        yield await _first(socket, kind)
    except VertuiError as error:
        logger.info("%s: %s", error.kind, error)
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await socket.send_text(json.dumps({"error": {"kind": error.kind, "message": str(error)}}))
    except WebSocketDisconnect:
        return
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await socket.close()


@contextlib.asynccontextmanager
async def _hung_up_on_error(stream: CommandStream) -> AsyncIterator[None]:
    """A command whose start is refused after all is not left running."""
    try:
        yield
    except Exception:
        with contextlib.suppress(VertuiError):
            await stream.hang_up()
        raise


async def _first(socket: WebSocket, kind: type[T]) -> T:
    try:
        return decode(kind, json.loads(await socket.receive_text()))
    except (KeyError, ValueError, RecursionError) as error:  # the first for bytes
        raise UsageError(f"the request cannot be read: {error}") from error


def _summary(request: ExecRequest) -> str:
    """The command as the log shows it, and which secrets it is given; its words may be of any bytes."""
    given = f" (given {', '.join(sorted({*request.secrets.values()}))})" if request.secrets else ""
    words = " ".join(request.argv).encode("utf-8", "backslashreplace").decode()
    return words[:LONGEST_SUMMARY] + given[:LONGEST_SUMMARY]
