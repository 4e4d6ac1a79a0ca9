"""When a branch is idle: nobody follows a command in it, nothing is connected with it, its vCPUs do next to nothing.

One notion for all who wait for such a time. A command that nobody follows and that waits, such as a server that was
started in the background, is no work; one that computes is. To look at a branch (`ls`, `ps`, its console) is none.
"""

import asyncio
import time
from collections.abc import Callable

from core.engine.busy import Busy
from core.engine.context import Engine
from core.engine.live import Live
from core.errors import VertuiError
from core.machine.protocol import Machine

BUSY_PERCENT = 10  # of a core: who takes more is at work; an idle guest's timers take 1 to 3 under emulation
LOOKS = 4  # while it becomes idle
SHORTEST_LOOK_S, LONGEST_LOOK_S = 1.0, 15.0  # a share over less says little, over more it hides work


def at_work(live: Live) -> str:
    """What goes on that can be told at once; empty for nothing."""
    if live.lock.locked():
        return "a verb is at work"
    return used(live)


def used(live: Live) -> str:
    """Who uses it that came from outside; empty for nobody."""
    if live.followers:
        return "a command is followed"
    return "somebody came by a published port" if live.visits else ""


async def waited(engine: Engine, branch: str, wanted_s: Callable[[], float]) -> Live | None:
    """A branch's machine, once nothing has gone on in it for as long as is wanted then. None when it does not run any
    more, or nothing (0) is wanted.
    """
    busy, since = Busy(), time.monotonic()
    known: Machine | None = None
    while (live := engine.running(branch)) is not None and (wanted := wanted_s()):
        now, percent = time.monotonic(), busy.look(live.machine.pid)
        if live.machine is not known or percent >= BUSY_PERCENT or await _goes_on(engine, live):
            known, since = live.machine, now
        since = max(since, live.used, live.console.typed)
        left = since + wanted - now
        if left <= 0:
            return live
        await asyncio.sleep(max(SHORTEST_LOOK_S, min(left, wanted / LOOKS, LONGEST_LOOK_S)))
    return None


async def _goes_on(engine: Engine, live: Live) -> bool:
    row = engine.catalog.branch(live.branch)
    if (
        at_work(live) or row.scoring is not None
    ):  # it is scored by what a command prints, however long that waits
        return True
    try:
        return live.network.info.address in await asyncio.to_thread(engine.network.connected)
    except VertuiError:  # it cannot be told, and nobody is to be cut off
        return True
