"""Networks taken apart in the background: that takes the kernel 15–25 ms, which no verb has to wait for."""

import asyncio
import contextlib
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from core.holder.protocol import Held
from core.network.protocol import Network

THREADS = 16  # they only wait for the kernel, and several wait together


class Reaping:
    """What is being taken apart. Its numbers are free only afterwards."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "reaping")
        self._running: dict[int, asyncio.Task[None]] = {}

    @property
    def numbers(self) -> set[int]:
        """The numbers that are not free yet."""
        return set(self._running)

    async def end(self, held: Held, network: Network, machine: Coroutine[Any, Any, None]) -> None:
        """End a machine, and begin to take its network apart once it has ended. `machine` never fails."""
        ending = asyncio.create_task(machine)
        self.begin(held, network, ending)
        await asyncio.shield(ending)

    def begin(self, held: Held, network: Network, ending: asyncio.Task[None] | None = None) -> None:
        """Take a network apart, after the `ending` of its machine. Its number is taken from now on."""
        number = network.index
        task = self._running[number] = asyncio.create_task(self._reap(held, network, ending))
        task.add_done_callback(lambda _: self._running.pop(number, None))

    async def done(self, number: int | None = None) -> None:
        """Wait for one number to be free, or for all."""
        wanted = list(self._running.values()) if number is None else [self._running.get(number)]
        await asyncio.gather(*(task for task in wanted if task is not None))

    async def _reap(self, held: Held, network: Network, ending: asyncio.Task[None] | None) -> None:
        if ending is not None:
            await asyncio.wait([ending])
        with contextlib.suppress(Exception):
            await asyncio.to_thread(held.drop, f"net:{network.index}")
        with contextlib.suppress(Exception):
            await asyncio.get_running_loop().run_in_executor(self._threads, network.close)
