"""The UI over a whole engine of twins: all that lies between a key and the catalog is real, but the machines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual.pilot import Pilot

from core.engine.news import Announcer
from tests.twins.engine import Twins, twin_engine
from tests.twins.served import served
from tests.ui.looks import until_seen
from vertui.ui import VertuiApp

SIZE = (120, 36)


@asynccontextmanager
async def engine_shown() -> AsyncIterator[tuple[Twins, Pilot[None]]]:
    """With `main` and its children b1 and b2, on the screen."""
    with twin_engine() as twins:
        twins.begin()
        await twins.do("up")
        await twins.do("fork", "main", 2)
        telling = asyncio.create_task(Announcer(twins.engine).tell())
        try:
            async with served(twins) as client, VertuiApp(client.home).run_test(size=SIZE) as pilot:
                await until_seen(pilot, "main", "b1", "b2")
                yield twins, pilot
        finally:
            telling.cancel()
            await twins.close()
