"""What a waking machine touches: learned once an image, then read ahead at every cold start.

All commits of an image grew out of its golden commit, so kernel, agent and shell lie at the same places in them. The
list is a guess that costs a little reading where it is wrong: a machine reads what it lacks by itself.
"""

import asyncio
import logging
import os

import numpy as np
from numpy.typing import NDArray

from core.engine.bases import disk_of, make_layer
from core.engine.context import Engine, new_id
from core.engine.live import Live
from core.errors import VertuiError
from core.files import write_atomic
from core.guest.identity import make_identity
from core.machine.base import opened
from core.machine.memory import resident_pages
from core.model import PAGE_BYTES, Image
from core.network.addresses import MAX_INDEX
from core.pages import Pages
from core.patience import patient
from core.store.image_pages import TOUCHED, touched_places
from core.store.views.nodes import EXACT

NETWORK = MAX_INDEX  # the network number of the machine that is watched: images are built one at a time
LEARN_S = patient(60.0)
NO_PAGES = np.empty(0, np.uint32), np.empty((0, PAGE_BYTES), np.uint8)


async def learn(engine: Engine, image: Image) -> None:
    """Wake a machine out of the golden commit, run a command in it, and note what it read. On failure there is no list:
    that costs speed alone, and the log says why.
    """
    try:
        path = engine.views.path(image.golden, EXACT)
        descriptor = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            async with asyncio.timeout(LEARN_S):
                loaded = await _play(engine, image, descriptor)
            rest = resident_pages(descriptor) & ~loaded
            pages = np.concatenate([np.flatnonzero(loaded), np.flatnonzero(rest)]).astype("<u4")
            await asyncio.to_thread(keep, engine, engine.catalog.images(), image, pages)
        finally:
            os.close(descriptor)
    except (VertuiError, OSError, TimeoutError) as error:
        logging.warning(
            "what a machine of image %s touches first is not known: %s", image.id, error or "too slow"
        )


def keep(engine: Engine, images: list[Image], image: Image, pages: Pages) -> None:
    """Write an image's list once its pages lie side by side, with those of all images: most of them they share."""
    lists = {one.golden: touched_places(engine.home.images, one.id) for one in images}
    engine.store.gather(lists | {image.golden: pages.astype(np.int64)})
    write_atomic(engine.home.images / image.id / TOUCHED, pages.tobytes())


async def _play(engine: Engine, image: Image, descriptor: int) -> NDArray[np.bool_]:
    """Let a machine live its first moments as after a fork. Returns the pages that it needed to be loaded."""
    layer = new_id()
    devices = await asyncio.to_thread(engine.store.devices, image.golden)
    network = await asyncio.to_thread(engine.network.create, NETWORK)
    live: Live | None = None
    try:
        with engine.needing(layer, image.golden):
            await asyncio.to_thread(make_layer, engine, engine.home.images / image.id, layer)
            tap = network.tap_fd or -1
            machine = await engine.hypervisor.start(
                new_id(), image.spec, opened(descriptor), tap, engine.layer(layer)
            )
            live = Live("", machine, network, image.golden)
            await machine.load(disk_of(engine, image.golden), (), *NO_PAGES, devices)
            loaded = resident_pages(descriptor)
            await machine.cont()
            await live.console.open(machine.console_socket)
            agent = await live.connect()
            await agent.identity(make_identity("vertui"))
            await agent.thaw()
            command = await agent.exec("hostname")
            async for _ in command:
                pass
            return loaded
    finally:
        if live:
            await live.close()
        await asyncio.to_thread(network.close)
        engine.collect_layers()


def store_ahead(engine: Engine, image: Image, commit: str) -> None:
    """Begin to put into the page cache what a machine out of this commit will touch. Without a list nothing happens."""
    pages = touched_places(engine.home.images, image.id)
    pages = pages[pages < image.spec.memory_bytes // PAGE_BYTES]
    engine.views.store_ahead(commit, pages, lambda places: engine.store.memory(commit, places))
