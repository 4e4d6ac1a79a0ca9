"""What is to be done about branches some time after an event: one task a branch at once, whatever else happens."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import partial

from core.engine.context import Engine
from core.engine.events import Interest
from core.model import Event

Whom = Callable[[Event | None], Iterable[str]]
Work = Callable[[Engine, str], Coroutine[None, None, None]]
Waiting = dict[str, asyncio.Task[None]]


async def attend(engine: Engine, whom: Whom, work: Work) -> None:
    """For ever: do the work for each branch that `whom` finds, by its id, unless it is being done for that one. It is
    asked of each event, and of None whenever events may have been missed: at the beginning, and after falling behind.
    """
    waiting: Waiting = {}
    try:
        while True:
            await _follow(engine, waiting, whom, work)
    finally:
        for task in waiting.values():
            task.cancel()
        await asyncio.gather(*waiting.values(), return_exceptions=True)


async def _follow(engine: Engine, waiting: Waiting, whom: Whom, work: Work) -> None:
    """Until the queue of events ends, as it does when this falls behind."""
    queue = engine.events.subscribe(Interest.NONE)
    event = None
    try:
        while True:
            for branch in whom(event):
                if branch not in waiting:
                    waiting[branch] = task = asyncio.create_task(work(engine, branch))
                    task.add_done_callback(partial(_forget, waiting, branch))
            if (event := await queue.get()) is None:
                return
    finally:
        engine.events.unsubscribe(queue)


def _forget(waiting: Waiting, branch: str, _: asyncio.Task[None]) -> None:
    del waiting[branch]
