"""Branches on their way into suspension or out of it: whoever needs one meanwhile waits instead of missing it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field


@dataclass
class Sleepers:
    """By the branches' ids; lives on the event loop. While it is `resting` nobody is woken: the daemon is about to end,
    and with it all machines.
    """

    turning: dict[str, asyncio.Event] = field(default_factory=dict)
    """Being suspended, or started from their heads."""
    waking: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """Being started for who needs them."""
    tired: dict[str, float] = field(default_factory=dict)
    """Until when guests do not wake those that did not start for one (monotonic)."""
    told: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the hub is told which linked ones are suspended: the last that is told is what is so."""
    resting: bool = False

    @contextmanager
    def turn(self, branch: str) -> Iterator[None]:
        """Have those who need the branch wait for the body's end."""
        over = self.turning[branch] = asyncio.Event()
        try:
            yield
        finally:
            if self.turning.get(branch) is over:
                del self.turning[branch]
            over.set()

    async def settled(self, branch: str) -> None:
        """Wait until a branch is neither on its way in nor out."""
        while (turning := self.turning.get(branch)) is not None:
            await turning.wait()

    @asynccontextmanager
    async def at_rest(self) -> AsyncIterator[None]:
        """From the body on nobody is woken, nor on the way in or out; unless the body fails."""
        self.resting = True
        try:
            for branch in list(self.turning):
                await self.settled(branch)
            yield
        except BaseException:
            self.resting = False
            raise

    async def stop(self) -> None:
        """Wake nobody any more; who was about to run is suspended still."""
        self.resting = True
        tasks = list(self.waking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
