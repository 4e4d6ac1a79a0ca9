"""What a machine starts on: the base image it maps, and the empty disk layer it writes."""

import asyncio
import shutil
from pathlib import Path

from core.engine.context import Engine
from core.errors import Damaged
from core.machine import base as base_images
from core.machine.base import Base
from core.store.files import disk_error


def make_layer(engine: Engine, image_directory: Path, layer: str) -> None:
    """Make an empty disk layer by copying the image's template. On failure there is none."""
    try:
        shutil.copyfile(image_directory / "empty.qcow2", engine.store.layer_path(layer))
    except FileNotFoundError as error:
        raise Damaged(f"image {image_directory.name} lacks empty.qcow2: build it again") from error
    except OSError as error:
        engine.store.layer_path(layer).unlink(missing_ok=True)
        raise disk_error(error, engine.store.layer_path(layer)) from error


async def base_of(engine: Engine, golden: str) -> Base:
    """The base image a golden commit stands for: the holder's, or made from the store and given to the holder."""
    key = f"base:{golden}"
    async with engine.loading_base:
        descriptor = await asyncio.to_thread(engine.held.get, key)
        if descriptor is not None:
            return base_images.opened(descriptor)
        manifest = await asyncio.to_thread(engine.store.manifest, golden)
        pages, table = await asyncio.to_thread(engine.store.memory, golden)
        base = await asyncio.to_thread(base_images.filled, manifest.spec.memory_bytes, pages, table)
        engine.held.keep(key, base.descriptor)
        return base
