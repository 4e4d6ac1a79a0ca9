"""Exec, attach and console over WebSockets; the messages are described in `core.daemon.streams`."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from core.daemon.codec import decode
from core.daemon.wire import HEADER, STDOUT
from core.engine.context import Engine
from core.engine.operations import note
from core.errors import UsageError, VertuiError
from core.guest.streams import CommandStream, Exit, Output
from core.model import ExecRequest

LONGEST_SUMMARY = 200  # characters of a command that the log shows
PURPOSES = ("exec", "cp", "watch")


def add_streams(app: FastAPI, engine: Engine) -> None:
    """Add the three streams to the application."""

    @app.websocket("/v1/exec")
    async def exec_(socket: WebSocket) -> None:
        async with _request(socket) as fields:
            request = _exec_request(fields)
            line = len(request.argv) == 1 and any(blank in request.argv[0] for blank in " \t\n")
            stream = await (await engine.agent(request.branch)).exec(
                request.argv[0] if line else request.argv,
                env=request.env,
                cwd=request.cwd,
                user=request.user,
                terminal=(request.rows, request.columns) if request.tty else None,
                stdin=request.stdin,
                timeout_s=request.timeout_s,
                lossless=request.lossless,
            )
            note(engine, request.purpose, f"{request.branch}: {_summary(request)[:LONGEST_SUMMARY]}")
            engine.publish("branch", request.branch, f"{request.branch}: command {stream.id} started")
            await _follow(socket, stream)
            engine.publish("branch", request.branch, f"{request.branch}: command {stream.id} ended")

    @app.websocket("/v1/attach")
    async def attach(socket: WebSocket) -> None:
        async with _request(socket) as fields:
            offsets = (_number(fields, "stdout_offset"), _number(fields, "stderr_offset"))
            branch = str(fields.get("branch"))
            stream = await (await engine.agent(branch)).attach(_number(fields, "id"), *offsets)
            await _follow(socket, stream)

    @app.websocket("/v1/console")
    async def console(socket: WebSocket) -> None:
        async with _request(socket) as fields:
            view = engine.machine(str(fields.get("branch"))).console

            async def show() -> None:
                position = 0
                async for data in view.view():
                    await socket.send_bytes(HEADER.pack(STDOUT, position) + data)
                    position += len(data)

            await _both(show(), _typed(socket, view.write))


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
        except ValueError as error:
            raise UsageError(f"the request cannot be read: {error}") from error
    except VertuiError as error:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await socket.send_text(json.dumps({"error": {"kind": error.kind, "message": str(error)}}))
    except WebSocketDisconnect:
        return
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await socket.close()


def _exec_request(fields: dict[str, Any]) -> ExecRequest:
    try:
        request = decode(ExecRequest, fields)
    except (TypeError, ValueError) as error:
        raise UsageError(f"the request cannot be read: {error}") from error
    if request.purpose not in PURPOSES:
        raise UsageError(f"'{request.purpose}' is no purpose: {', '.join(PURPOSES)}")
    if not request.argv or not all(isinstance(word, str) for word in request.argv):
        raise UsageError("give a command to run")
    return request


def _summary(request: ExecRequest) -> str:
    """The command, without our own programs when it was not the user who wrote it."""
    return " ".join(word for word in request.argv if request.purpose == "exec" or "\n" not in word)


async def _follow(socket: WebSocket, stream: CommandStream) -> None:
    """Send a command's output until it ends, and pass on what the client sends."""
    await socket.send_text(json.dumps({"started": stream.id}))
    try:
        await _both(_show(socket, stream), _control(socket, stream))
    finally:
        with contextlib.suppress(VertuiError):
            await stream.detach()


async def _show(socket: WebSocket, stream: CommandStream) -> None:
    async for item in stream:
        if isinstance(item, Output):
            if item.dropped:
                await socket.send_text(json.dumps({"dropped": item.dropped, "stream": item.stream + 1}))
            await socket.send_bytes(HEADER.pack(item.stream + 1, item.offset) + item.data)
        elif isinstance(item, Exit):
            await socket.send_text(json.dumps({"exit": item.code, "timed_out": item.timed_out}))


async def _control(socket: WebSocket, stream: CommandStream) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("bytes") is not None:
            await stream.write_stdin(message["bytes"])
            continue
        fields = json.loads(message["text"])
        if fields.get("eof"):
            await stream.eof()
        elif "resize" in fields:
            await stream.resize(*(int(number) for number in fields["resize"]))
        elif "signal" in fields:
            await stream.signal(int(fields["signal"]))


async def _typed(socket: WebSocket, write: Callable[[bytes], Awaitable[None]]) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("bytes") is not None:
            await write(message["bytes"])


async def _both(*work: Any) -> None:
    """Run side by side until the first ends; its error is the outcome."""
    tasks = [asyncio.ensure_future(item) for item in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _number(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name, 0)
    if not isinstance(value, int) or value < 0:
        raise UsageError(f"{name} must be a number from 0 on")
    return value
