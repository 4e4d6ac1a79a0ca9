"""A home of twins, reached by the SDK."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from core.errors import MachineFailed
from core.guest.client import AgentClient
from tests.guests import SOON_S
from tests.twins.engine import Twins, twin_engine
from tests.twins.served import served
from vertui.sdk import AsyncVertui, connect


class OneFails:
    """A hypervisor whose second machine from now on does not start."""

    def __init__(self, real: Any) -> None:
        self._real, self._asked = real, 0

    async def start(self, *given: Any) -> Any:
        """The real one's, but once."""
        self._asked += 1
        if self._asked == 2:
            raise MachineFailed("QEMU ended at once")
        return await self._real.start(*given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@asynccontextmanager
async def reached(agent: AgentClient | None = None) -> AsyncIterator[tuple[Twins, AsyncVertui]]:
    """A home with a trunk `main`, whose guest's agent may be a real one."""
    with twin_engine() as twins:
        twins.begin()
        try:
            await twins.do("up")
            [live] = twins.engine.machines.live.values()
            own = live._agent
            live._agent = agent or own
            try:
                async with served(twins) as client, connect(client.home, author="tester") as v:
                    yield twins, v
            finally:
                live._agent = own
        finally:
            await twins.close()


async def until(met: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SOON_S):
        while not await met():
            await asyncio.sleep(0.02)
