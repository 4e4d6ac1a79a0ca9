"""The twin of QEMU does what QEMU does, as far as `tests/machines.py` asks."""

import asyncio

import pytest

from tests.machines import SCENES, Place
from tests.twins.engine import SPEC, twin_engine


@pytest.mark.parametrize("scene", SCENES)
def test_scene(scene: str) -> None:
    async def play() -> None:
        with twin_engine() as twins:
            home = twins.engine.home
            place = Place(home, twins.held, twins.hypervisor, twins.hub, "base-1", SPEC, lambda machine: None)
            await SCENES[scene](place)
            assert twins.held.holdings().children == {} and twins.hub.list() == ()

    asyncio.run(play())
