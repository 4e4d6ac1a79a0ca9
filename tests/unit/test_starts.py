"""Starts that come together are one fork: whose child does not run is told so, whoever does not wait leaves none."""

import asyncio
from typing import Any

import pytest

from core.errors import MachineFailed, NotFound
from tests.unit.reached import OneFails, reached, until
from vertui.adapters.starts import Starts, pruned, warm
from vertui.sdk import AsyncVertui


class StartsLater:
    """A hypervisor that starts nothing until it may."""

    def __init__(self, real: Any) -> None:
        self._real, self.asked, self.may = real, asyncio.Event(), asyncio.Event()

    async def start(self, *given: Any) -> Any:
        """The real one's, once it may."""
        self.asked.set()
        await self.may.wait()
        return await self._real.start(*given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


async def forks(v: AsyncVertui) -> int:
    return [operation.verb for operation in await v.log()].count("fork")


async def test_starts_that_come_together_are_one_fork() -> None:
    async with reached() as (_, v):
        starts = Starts(v, "main", "try-", ("off",))
        children = await asyncio.gather(*(starts.child() for _ in range(3)))
        assert len({child.name for child in children}) == 3 and await forks(v) == 1
        late = await starts.child()
        assert await forks(v) == 2 and (await late.info()).egress.mode == "off"
        await pruned(v, [late, *children])
        await pruned(v, [late])
        assert [branch.name for branch in await v.branches()] == ["main"]


async def test_one_that_does_not_start_and_one_that_nobody_waits_for() -> None:
    async with reached() as (twins, v):
        starts = Starts(v, "main", "try-")
        twins.engine.hypervisor = OneFails(twins.hypervisor)
        asked = [asyncio.create_task(starts.child()) for _ in range(3)]
        came: list[Any] = await asyncio.gather(*asked, return_exceptions=True)
        [failed] = [one for one in came if isinstance(one, Exception)]
        assert isinstance(failed, MachineFailed) and "did not start: QEMU ended at once" in str(failed)

        before = len(await v.branches())
        twins.engine.hypervisor = starting = StartsLater(twins.hypervisor)
        asked = [asyncio.create_task(starts.child()) for _ in range(2)]
        await starting.asked.wait()
        asked[0].cancel()
        starting.may.set()
        await asyncio.wait(asked)
        await until(lambda: as_many(v, before + 1))
        assert (await asked[1]).ok

        for asked_for in (Starts(v, "nobody", "try-").child(), warm(v, "nobody", "")):
            with pytest.raises(NotFound, match="nobody"):
                await asked_for


async def as_many(v: AsyncVertui, count: int) -> bool:
    return len(await v.branches()) == count
