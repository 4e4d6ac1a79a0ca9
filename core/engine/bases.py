"""What a machine starts on: the memory view it maps, the disk view below its layers, and the empty layer it writes."""

import asyncio
import os
import shutil
from pathlib import Path

from core.engine.context import Engine
from core.errors import Damaged
from core.machine import base as base_images
from core.machine.base import Base
from core.machine.protocol import Layer
from core.store.files import disk_error
from core.store.protocol import DISK, MEMORY


def make_layer(engine: Engine, image_directory: Path, layer: str) -> None:
    """Make an empty disk layer by copying the image's template. On failure there is none."""
    try:
        shutil.copyfile(image_directory / "empty.qcow2", engine.store.layer_path(layer))
    except FileNotFoundError as error:
        raise Damaged(f"image {image_directory.name} lacks empty.qcow2: build it again") from error
    except OSError as error:
        engine.store.layer_path(layer).unlink(missing_ok=True)
        raise disk_error(error, engine.store.layer_path(layer)) from error


async def base_of(engine: Engine, commit: str) -> Base:
    """A commit's memory as a base image: nothing is read before a machine touches it. The caller closes it."""
    path = engine.views.path(commit, MEMORY)
    try:
        return base_images.opened(await asyncio.to_thread(os.open, path, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        raise Damaged(f"the memory of commit {commit[:12]} cannot be read: {error.strerror}") from error


def disk_of(engine: Engine, commit: str) -> Layer:
    """A commit's disk as what layers lie over."""
    return Layer(commit, engine.views.path(commit, DISK))
