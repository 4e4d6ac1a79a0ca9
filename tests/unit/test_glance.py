"""What a machine does is seen at a glance: its newest command's last line and end; nobody idle is asked."""

import os
from typing import cast

import pytest

from core.commands import LastCommand
from core.engine.busy import Busy
from core.engine.glance import glance
from core.engine.live import Live
from core.engine.news import Announcer
from core.guest.client import AgentClient
from core.machine.protocol import Machine
from core.network.protocol import Network
from tests.twins.engine import twin_engine


@pytest.fixture
def live(client: AgentClient) -> Live:
    """A machine's place with the line to a real agent."""
    found = Live("b1", cast(Machine, None), cast(Network, None))
    found._agent = client
    return found


async def ran(live: Live, script: str) -> None:
    """Run a command to its end."""
    async for _ in await (await live.agent()).exec(["sh", "-c", script]):
        pass
    live.may_work = True


def seen(live: Live) -> tuple[int | None, str]:
    assert live.last is not None
    return live.last.exit_code, live.last.line


async def test_the_last_line_and_the_end_of_the_newest_command(live: Live) -> None:
    await glance(live)
    assert live.last is None and not live.may_work
    await ran(live, "seq 1000; printf 'half\\rwhole \\033[31mred\\n\\n'; echo no >&2; exit 3")
    await glance(live)
    assert seen(live) == (3, "whole \x1b[31mred") and not live.may_work
    await ran(live, "echo 'not found' >&2; exit 127")
    await glance(live)
    assert seen(live) == (127, "not found")
    running = await (await live.agent()).exec(["sh", "-c", "echo begun; sleep 60"])
    live.may_work = True
    await anext(running)
    await glance(live)
    assert seen(live) == (None, "begun") and live.may_work
    await running.signal(9)
    async for _ in running:
        pass
    await glance(live)
    assert seen(live) == (137, "begun") and not live.may_work


async def test_who_does_nothing_is_not_asked(live: Live) -> None:
    live.may_work = False
    agent = cast(AgentClient, live._agent)
    await agent.close()  # it would be noticed
    await glance(live)
    live.may_work = True
    await glance(live)  # nor does a line that was lost hold anybody up
    assert live.last is None


async def test_what_machines_do_is_told_once() -> None:
    with twin_engine() as twins:
        twins.begin()
        await twins.do("up")
        queue, announcer = twins.engine.events.subscribe(), Announcer(twins.engine)
        (live,) = twins.engine.machines.live.values()
        await announcer._tell_figures()
        while not queue.empty():
            queue.get_nowait()
        live.last = LastCommand(1, "make", 0.0, 2, 10, "make: *** [all] Error 1")
        await announcer._tell_figures()
        event = queue.get_nowait()
        assert event and event.changed and [one.last for one in event.changed.branches] == [live.last]
        await announcer._tell_figures()
        assert queue.empty()
        await twins.close()


def test_a_busy_process_is_told_from_an_idle_one() -> None:
    busy = Busy()
    assert busy.look(os.getpid()) == 0, "nothing is known yet"
    busy._at, busy._used_s = busy._at - 10, busy._used_s - 9
    assert 80 <= busy.look(os.getpid()) <= 100
    assert busy.look(1 << 22) >= 80, "one that is gone is as it was"
