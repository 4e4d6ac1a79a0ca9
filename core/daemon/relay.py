"""One client of a stream, daemon's side: what it sends is read at once and sorted, so that nothing waits in one lane.

Input goes to the guest as the command takes it, orders (signals, sizes) at once, and what the client has seen is
acknowledged to the guest: the windows reach from end to end, and little is held here.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from core.codec import decode
from core.daemon.wire import HEADER, STDOUT, Order
from core.engine.live import Console
from core.engine.recording import CommandRecord
from core.errors import GuestFailed, UsageError, VertuiError
from core.guest.agent.wire import FRAME_COST, WINDOW_BYTES
from core.guest.streams import CommandExit, CommandOutput, CommandStream
from core.patience import patient

GOING_AWAY = 1012  # the daemon ends the connection, not the client: RFC 6455's registry, "service restart"

TYPED_S = patient(5.0)  # for a console whose guest does not read


class Inbox:
    """A client's messages, sorted."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self.input: asyncio.Queue[bytes] = asyncio.Queue()
        self.orders: asyncio.Queue[Order | None] = asyncio.Queue()
        self.seen = 0
        self.left = self.restarting = self.ended = False
        self._looked = asyncio.Event()
        self._waiting = 0

    async def hear(self) -> None:
        """Until the client is gone: it may have `left` on purpose, or the daemon is `restarting`."""
        while (message := await self._socket.receive())["type"] != "websocket.disconnect":
            if message.get("bytes") is not None:
                self._take_input(message["bytes"])
            else:
                self._take(message["text"])
            if self.left:
                return
        self.restarting = message.get("code") == GOING_AWAY

    def _take_input(self, data: bytes) -> None:
        self._waiting += len(data)
        if self._waiting > WINDOW_BYTES:
            raise UsageError("more input was sent than was asked for")
        if data:
            self.input.put_nowait(data)

    def _take(self, text: str) -> None:
        try:
            order = decode(Order, json.loads(text))
        except (ValueError, RecursionError) as error:
            raise UsageError(f"a message cannot be read: {error}") from error
        if order.seen is not None:
            self.seen = order.seen
            self._looked.set()
        elif order.leave:
            self.left = True
        elif order.eof:
            self.input.put_nowait(b"")
        else:
            self.orders.put_nowait(order)

    async def feed(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Pass input on, as fast as it is taken; no bytes are its end."""
        while True:
            data = await self.input.get()
            await write(data)
            self._waiting -= len(data)

    async def looked(self) -> None:
        """Wait until the client has seen more."""
        self._looked.clear()
        await self._looked.wait()

    async def tell(self, **fields: Any) -> None:
        """Send something that is no output. A client that is gone is noticed by `hear` alone."""
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.send_text(json.dumps(fields))

    async def show(self, stream: int, offset: int, data: bytes) -> None:
        """Send output."""
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.send_bytes(HEADER.pack(stream, offset) + data)


async def follow(
    socket: WebSocket, stream: CommandStream, *, owner: bool, record: CommandRecord | None = None
) -> bool:
    """Be between a client and a command until that ends or the client goes; has it ended? A `record` is told of all
    that passes.

    It hangs up when its owner is gone, or said what cannot be understood. When it is the daemon that goes, the agent
    waits for the owner to come back by the next one.
    """
    peer, taken = Inbox(socket), stream.stdin_taken
    await peer.tell(started=stream.id, stdin=[stream.stdin_sent, taken])

    async def write(data: bytes) -> None:
        if record:
            record.given(data)
        await (stream.write_stdin(data) if data else stream.eof())

    steering = asyncio.create_task(_steer(peer, stream))
    try:
        beside = (peer.feed(write), _acknowledge(peer, stream), _report(peer, stream, taken))
        await first_of(_show(peer, stream, record), peer.hear(), *beside)
        peer.orders.put_nowait(None)
        await steering
    except asyncio.CancelledError:
        peer.restarting = True
        raise
    except GuestFailed:
        if record:
            record.cut = True
        raise
    finally:
        steering.cancel()
        if record:
            record.left = peer.left or not owner
        if not peer.restarting:
            with suppress(VertuiError):
                await (stream.hang_up() if owner and not peer.left else stream.detach())
                if peer.left:
                    await peer.tell(left=True)
    return peer.ended


async def _show(peer: Inbox, stream: CommandStream, record: CommandRecord | None) -> None:
    while item := await stream.take():
        if record:
            record.said(item)
        if isinstance(item, CommandExit):
            if record:
                await record.kept()
            peer.ended = True
            await peer.tell(exit=item.code, timed_out=item.timed_out)
            return
        await _show_output(peer, item)


async def _show_output(peer: Inbox, output: CommandOutput) -> None:
    if output.dropped:
        await peer.tell(dropped=output.dropped, stream=output.stream + 1)
    await peer.show(output.stream + 1, output.offset, output.data)


async def _steer(peer: Inbox, stream: CommandStream) -> None:
    """Carry orders out one after the other, up to none; the client is told of one that may not have been."""
    while order := await peer.orders.get():
        try:
            if order.resize is not None:
                await stream.resize(*order.resize)
            elif order.signal is not None:
                await stream.signal(order.signal, order.key)
        except GuestFailed as error:
            await peer.tell(notice=str(error))
        if order.key:
            await peer.tell(signalled=order.key)


async def _acknowledge(peer: Inbox, stream: CommandStream) -> None:
    while True:
        stream.consumed(peer.seen)
        await peer.looked()


async def _report(peer: Inbox, stream: CommandStream, taken: int) -> None:
    """Tell how much input was taken beyond what was told, and when no more will be."""
    shut = False
    while True:
        if stream.stdin_taken > taken:
            taken = stream.stdin_taken
            await peer.tell(taken=taken)
        elif stream.stdin_shut and not shut:
            shut = True
            await peer.tell(shut=True)
        else:
            await stream.changed()


async def follow_console(socket: WebSocket, console: Console) -> None:
    """Be between a client and a machine's console until the client goes; GuestFailed when the console does."""
    peer, taken = Inbox(socket), 0
    await peer.tell(started=0, stdin=[0, 0])

    async def write(data: bytes) -> None:
        nonlocal taken
        await console.write(data)
        taken += len(data)
        await peer.tell(taken=taken)

    async def show() -> None:
        position = sent = 0
        async for data in console.view():
            while sent - peer.seen > WINDOW_BYTES:
                await peer.looked()
            await peer.show(STDOUT, position, data)
            position += len(data)
            sent += len(data) + FRAME_COST
        raise GuestFailed("the machine's console was closed")

    await first_of(show(), peer.hear(), peer.feed(write))
    with suppress(TimeoutError):  # what was typed last, before the client left
        async with asyncio.timeout(TYPED_S):
            while not peer.input.empty():
                await console.write(peer.input.get_nowait())


async def first_of(*work: Coroutine[Any, Any, None]) -> None:
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
