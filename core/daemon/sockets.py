"""Exec, attach and console over WebSockets; the messages are described in `core.daemon.streams`."""

import contextlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from core.codec import decode
from core.daemon.relay import follow, follow_console
from core.engine.context import Engine
from core.engine.fate import followed
from core.engine.operations import note
from core.errors import GuestFailed, UsageError, VertuiError
from core.guest.streams import CommandStream
from core.model import ExecRequest
from core.patience import patient

logger = logging.getLogger(__name__)

LONGEST_SUMMARY = 200  # characters of a command that the log shows
# For a client to come back after the daemon died: a new one takes its time on a busy host.
OWNER_S = patient(120.0)


def add_streams(app: FastAPI, engine: Engine) -> None:
    """Add the three streams to the application."""

    @app.websocket("/v1/exec")
    async def exec_(socket: WebSocket) -> None:
        async with _request(socket) as fields:
            request = _exec_request(fields)
            async with followed(engine, request.branch):
                await _execute(engine, socket, request, again=fields.get("again") is True)

    @app.websocket("/v1/attach")
    async def attach(socket: WebSocket) -> None:
        async with _request(socket) as fields:
            offsets = (_number(fields, "stdout_offset"), _number(fields, "stderr_offset"))
            branch, owner = str(fields.get("branch")), fields.get("owner") is True
            async with followed(engine, branch):
                agent = await engine.agent(branch)
                stream = await agent.attach(_number(fields, "id"), *offsets, owner_s=OWNER_S * owner)
                await follow(socket, stream, owner=owner)

    @app.websocket("/v1/console")
    async def console(socket: WebSocket) -> None:
        async with _request(socket) as fields, followed(engine, str(fields.get("branch"))) as live:
            await follow_console(socket, live.console)


async def _execute(engine: Engine, socket: WebSocket, request: ExecRequest, *, again: bool) -> None:
    """Start a command and be between it and its client."""
    agent = await engine.agent(request.branch)
    if again and not agent.knows_keys:
        raise GuestFailed(f"whether the command was started is not known: `vertui ps {request.branch}`")
    line = len(request.argv) == 1 and any(blank in request.argv[0] for blank in " \t\n")
    stream = await agent.exec(
        request.argv[0] if line else request.argv,
        env=request.env,
        cwd=request.cwd,
        user=request.user,
        terminal=(request.rows, request.columns) if request.tty else None,
        stdin=request.stdin,
        timeout_s=request.timeout_s,
        lossless=request.lossless,
        owner_s=0 if request.outlives else OWNER_S,
        key=request.key,
        inner=request.inner,
    )
    if request.inner:
        if await follow(socket, stream, owner=not request.outlives):
            await agent.release(stream.id)
        return
    async with _hung_up_on_error(stream):
        note(engine, "exec", f"{request.branch}: {_summary(request)[:LONGEST_SUMMARY]}")
    engine.publish("branch", request.branch, f"{request.branch}: command {stream.id} started")
    if await follow(socket, stream, owner=not request.outlives):
        engine.publish("branch", request.branch, f"{request.branch}: command {stream.id} ended")


@contextlib.asynccontextmanager
async def _request(socket: WebSocket) -> AsyncIterator[dict[str, Any]]:
    """The first message's fields; a refusal in the body is sent, a client that left is no error."""
    await socket.accept()
    try:
        try:
            fields = json.loads(await socket.receive_text())
            if not isinstance(fields, dict):
                raise UsageError("the request is no JSON object")
            yield fields
        except (TypeError, ValueError) as error:
            raise UsageError(f"the request cannot be read: {error}") from error
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


def _exec_request(fields: dict[str, Any]) -> ExecRequest:
    try:
        request = decode(ExecRequest, fields)
    except ValueError as error:
        raise UsageError(f"the request cannot be read: {error}") from error
    if not request.argv:
        raise UsageError("give a command to run")
    return request


def _summary(request: ExecRequest) -> str:
    return (
        " ".join(request.argv).encode("utf-8", "backslashreplace").decode()
    )  # a command line may hold odd bytes


def _number(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name, 0)
    if not isinstance(value, int) or value < 0:
        raise UsageError(f"{name} must be a number from 0 on")
    return value
