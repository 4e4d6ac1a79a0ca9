"""Guests' clocks are set again after the host's clock was set, or the host slept: both leave every guest with a wrong
time.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable
from typing import Protocol

from core.engine.context import Engine
from core.linux import clock_jumps


class Clocked(Protocol):
    """Whose clock can be set: a branch's live machine."""

    def correct_clock(self) -> None:
        """Set it, in the background."""
        ...


async def watch(engine: Engine) -> None:
    """Set the clocks of all guests that run whenever the host's jumps, for ever. It costs nothing until then."""
    with contextlib.suppress(OSError):  # a kernel that cannot tell
        descriptor = await asyncio.to_thread(clock_jumps)
        try:
            await follow(lambda: engine.machines.live.values(), descriptor)
        finally:
            os.close(descriptor)


async def follow(guests: Callable[[], Iterable[Clocked]], jumps: int) -> None:
    """Set the guests' clocks each time `jumps` becomes readable, until it ends."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def jumped() -> None:
        if not _heard(jumps):
            loop.remove_reader(jumps)
            ended.set_result(None)
            return
        for guest in guests():
            guest.correct_clock()

    loop.add_reader(jumps, jumped)
    try:
        await ended
    finally:
        loop.remove_reader(jumps)


def _heard(jumps: int) -> bool:
    """Read the descriptor, so that it is readable again only after the next jump; False at its end. Reading a timer
    that was set off by a jump fails with ECANCELED.
    """
    try:
        return os.read(jumps, 8) != b""
    except OSError:
        return True
