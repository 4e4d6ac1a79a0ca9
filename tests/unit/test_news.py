"""What machines take is looked at for those who read it, and never while one is being loaded."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from core.engine import handover, inspect, news, pool
from core.engine.events import Interest
from core.engine.live import Live
from core.engine.news import Announcer
from core.model import BranchState
from tests.twins.engine import Twins, twin_engine


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often each process was looked at."""
    seen: Counter[int] = Counter()

    def look(pid: int) -> int:
        seen[pid] += 1
        return 1 << 20

    for module in (inspect, pool):
        monkeypatch.setattr(module, "pss_bytes", look)
    monkeypatch.setattr(news, "GATHER_S", 0.001)
    return seen


@asynccontextmanager
async def daemon() -> AsyncIterator[Twins]:
    """An engine beside which those of a daemon's tasks run that follow events or tell them."""
    with twin_engine() as twins:
        twins.begin()
        tasks = [
            asyncio.create_task(work)
            for work in (handover.watch(twins.engine), Announcer(twins.engine).tell())
        ]
        await asyncio.sleep(0)
        try:
            yield twins
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await twins.close()


async def test_nothing_is_looked_at_while_nobody_reads(
    looks: Counter[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "FIGURES_S", 0.01)
    async with daemon() as twins:
        await twins.do("up")
        looks.clear()  # the verb's own answer says what the machine takes
        await twins.do("fork", "main", 3)
        await asyncio.sleep(0.1)
    assert not looks


async def test_of_a_fork_each_machine_is_looked_at_once_and_only_when_it_runs(looks: Counter[int]) -> None:
    async with daemon() as twins:
        await twins.do("up")
        looks.clear()
        queue = twins.engine.events.subscribe()
        forking = asyncio.create_task(twins.do("fork", "main", 3))
        running: dict[str, int] = {}
        while len(running) < 4:
            event = await queue.get()
            assert event is not None
            for branch in event.changed.branches if event.changed else ():
                if branch.state is BranchState.RUNNING:
                    running[branch.name] = branch.memory_bytes
                else:
                    assert not branch.memory_bytes
        await forking
        twins.engine.events.unsubscribe(queue)
    assert set(running.values()) == {1 << 20}
    assert set(looks.values()) == {1}


@pytest.mark.parametrize("interest", Interest)
async def test_guests_are_asked_only_for_who_looks_on(
    interest: Interest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "FIGURES_S", 0.02)
    monkeypatch.setattr(news, "FIGURES_SHARE", 1.0)
    asked = asyncio.Event()

    async def ask(live: Live) -> None:
        asked.set()

    monkeypatch.setattr(news, "glance", ask)
    async with daemon() as twins:
        await twins.do("up")
        asked.clear()
        queue = twins.engine.events.subscribe(interest)
        await twins.do("score", "main", 0.5)
        async with asyncio.timeout(30):
            while interest is not Interest.NONE:
                event = await queue.get()
                if event and event.changed and [one.score for one in event.changed.branches] == [0.5]:
                    break
            if interest is Interest.FIGURES:
                await asked.wait()
        await asyncio.sleep(0.1)  # five times as long as it takes to be asked
        assert asked.is_set() == (interest is Interest.FIGURES)
        twins.engine.events.unsubscribe(queue)


async def test_one_who_reads_while_much_happens_is_told_anew_what_machines_take(
    looks: Counter[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "FIGURES_S", 0.02)
    monkeypatch.setattr(news, "FIGURES_SHARE", 1.0)
    async with daemon() as twins:
        await twins.do("up")
        looks.clear()
        queue = twins.engine.events.subscribe()
        async with asyncio.timeout(30):
            while max(looks.values(), default=0) < 3:
                twins.engine.set_branch(twins.engine.branch("main").id, reason=str(looks.total()))
                await asyncio.sleep(0.005)
        twins.engine.events.unsubscribe(queue)
