"""What the hub tells as it happens: what branches are refused, and that a linked one is looked for while it sleeps."""

import asyncio
import time

from core.engine import links
from core.engine.attempts import live_at, refuse
from core.engine.context import Engine
from core.engine.live import Live
from core.engine.wake import wake_linked
from core.errors import VertuiError
from core.network.protocol import Heard, Tried
from core.reach import Attempt

MOST_ASKED = 64  # that are dealt with at once; what comes beside these is refused at once


async def hear(engine: Engine) -> None:
    """For ever: tell of what is refused as it is tried, and wake who is looked for. Connections wait for that, as long
    as somebody listens here.
    """
    heard = await asyncio.to_thread(engine.network.listen)
    if heard is None:  # `tell_refused` finds it all the same, later
        return
    loop, asked = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    def arrived() -> None:
        for one in heard.read():
            if len(asked) >= MOST_ASKED:
                heard.reset(one)
                continue
            task = asyncio.create_task(_heard(engine, heard, one))
            asked.add(task)
            task.add_done_callback(asked.discard)

    loop.add_reader(heard.fileno(), arrived)
    try:
        await asyncio.Event().wait()
    finally:
        loop.remove_reader(heard.fileno())
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        heard.close()


async def _heard(engine: Engine, heard: Heard, one: Tried) -> None:
    answered = False
    try:
        if (live := live_at(engine, one.source[0])) is not None:
            if (name := links.who(engine, live.branch, one.target[0])) is not None:
                answered = await _woken(engine, live, name, one)
                return
            host = live.network.ties.name_of(one.target[0]) or one.target[0]
            tried = Attempt(host, one.target[1], one.protocol, 1, time.time())
            await refuse(engine, live, tried, one.source[1], one.protocol)
    finally:
        if not answered:
            heard.reset(one)


async def _woken(engine: Engine, live: Live, name: str, one: Tried) -> bool:
    """Have a branch that a linked one looks for run; does it? If so, its own guest answers what is sent again. Where it
    is being woken already nobody waits here as well: what is sent again finds it awake, or has it woken anew.
    """
    row, by = engine.catalog.named(name), engine.catalog.name_of(live.branch)
    if row is not None and row.id in engine.machines.sleepers.waking:
        return True
    try:
        if row is not None:
            await wake_linked(engine, row.id, f"{by} came to its port {one.target[1]}")
    except VertuiError:
        return False
    return row is not None and row.id in engine.machines.live
