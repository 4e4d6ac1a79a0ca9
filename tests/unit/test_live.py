"""A machine that reads nothing, or has ended: nobody waits for it, and nobody takes it for one that runs."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest

from core.async_sockets import open_line
from core.engine.live import Console, Live, hang_up
from core.errors import GuestFailed
from core.guest.connection import Connection, Line
from core.machine.protocol import Machine
from core.network.protocol import Network

DEADLINE_S = 10.0
MUCH = bytes(8 << 20)  # more than a socket takes that nobody reads


async def deaf(directory: Path, use: Callable[[Line], Awaitable[None]]) -> None:
    """Use a line that has much to write to somebody who reads nothing."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "line"))
        listener.listen()
        line = await open_line(directory / "line")
        line[1].write(MUCH)
        async with asyncio.timeout(DEADLINE_S):
            await use(line)


async def close_connection(line: Line) -> None:
    await Connection(*line).close()


async def close_console(line: Line) -> None:
    console = Console()
    await console.move(line)
    await console.close()


@pytest.mark.parametrize("use", [hang_up, close_connection, close_console])
def test_hanging_up_waits_for_nobody(tmp_path: Path, use: Callable[[Line], Awaitable[None]]) -> None:
    asyncio.run(deaf(tmp_path, use))


def test_a_guest_without_a_line_is_not_thawed() -> None:
    async def thaw() -> None:
        await Live("branch", cast(Machine, None), cast(Network, None)).thaw()

    with pytest.raises(GuestFailed):
        asyncio.run(thaw())


async def test_who_views_a_console_that_is_closed_sees_its_end() -> None:
    """Also one who read nothing for long."""
    console = Console()
    views = [console.view(), console.view()]
    assert [await anext(view) for view in views] == [b"", b""]
    async with asyncio.timeout(DEADLINE_S):
        for _ in range(2):
            await console.close()
        assert [[data async for data in view] for view in views] == [[], []]
