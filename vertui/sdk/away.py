"""Blocking calls made for a loop: each in a thread of its own, as there is no limit to how many may wait at once."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")
S = TypeVar("S", bound=Iterable[Any])
AHEAD = 64  # items of a stream that may wait for whoever reads it


def _nothing() -> None:
    """What there is to abandon of a call that cannot be broken off."""


async def away(call: Callable[[], T], abandon: Callable[[], object] = _nothing) -> T:
    """What a call gives. When the task is cancelled, `abandon` is called in another thread, and nobody waits for it."""
    from asyncio import CancelledError, get_running_loop

    loop = get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(give: Callable[[], None]) -> None:
        if not answer.done():
            give()

    def run() -> None:
        try:
            value = call()
        except BaseException as error:
            raised = error
            _tell(loop, settle, lambda: answer.set_exception(raised))
        else:
            _tell(loop, settle, lambda: answer.set_result(value))

    _thread(run)
    try:
        return await answer
    except CancelledError:
        _thread(abandon)
        raise


async def bridged(opened: Callable[[], S], close: Callable[[S], object]) -> AsyncGenerator[Any, None]:
    """What blocks while it is opened and iterated, as it comes. `close` ends it, also when nobody reads on."""
    from asyncio import Queue, get_running_loop

    loop, room, over = get_running_loop(), threading.Semaphore(AHEAD), threading.Event()
    came: Queue[tuple[Any] | BaseException | None] = Queue()
    streams: list[S] = []

    def run() -> None:
        end: BaseException | None = None
        try:
            streams.append(opened())
            for item in streams[0]:
                room.acquire()
                if over.is_set():
                    break
                _tell(loop, came.put_nowait, (item,))
        except BaseException as error:
            end = error
        _tell(loop, came.put_nowait, end)
        if over.is_set() and streams:
            close(streams[0])

    _thread(run)
    try:
        while (got := await came.get()) is not None:
            if isinstance(got, BaseException):
                raise got
            room.release()
            yield got[0]
    finally:
        over.set()
        room.release()
        for stream in streams:
            _thread(partial(close, stream))


def _tell(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *given: object) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(call, *given)


def _thread(run: Callable[[], object]) -> None:
    threading.Thread(target=run, daemon=True).start()
