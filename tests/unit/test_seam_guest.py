"""The guest's agent: what the real one, run on this machine, and its twin both answer. Identities are for
`tests/machines.py`: the real one would give this machine another name.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.errors import GuestFailed
from core.guest.answers import Done
from core.guest.client import AgentClient
from core.guest.clock import set_clock
from tests.twins.guest import Port
from tests.unit.agents import PATIENCE_S, connected, started


@pytest.fixture(params=["agent", "twin"])
async def agent(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AgentClient]:
    path = tmp_path / "agent.sock"
    if request.param == "agent":
        async with started(request.getfixturevalue("work"), path) as line, connected(line) as client:
            yield client
        return
    running = asyncio.Event()
    running.set()
    port = Port(running)
    server = await asyncio.start_unix_server(port.serve, path)
    client = await AgentClient.connect(path, PATIENCE_S)
    yield client
    await client.close()
    server.close()
    port.hang_up()


async def test_it_is_frozen_and_thawed(agent: AgentClient) -> None:
    assert not await agent.ping()
    for _ in range(2):
        await agent.freeze()
        assert await agent.ping()
    late_s = await agent.thaw()
    assert late_s is not None and late_s >= 0 and not await agent.ping()
    await agent.thaw()


async def test_the_gate_lets_only_the_capture_through(agent: AgentClient) -> None:
    async with agent.gate():
        waiting = asyncio.create_task(agent.ps())
        await agent.freeze()
        await agent.thaw()
        assert not waiting.done()
    assert await waiting == []


async def test_its_clock_is_ours(agent: AgentClient) -> None:
    await set_clock(agent)


async def test_what_it_does_not_know_is_refused(agent: AgentClient) -> None:
    with pytest.raises(GuestFailed):
        await agent.request(Done, "nothing")
    assert not agent.lost and agent.knows_keys
