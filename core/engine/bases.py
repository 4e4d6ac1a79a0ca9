"""What a machine lies on: the memory view it maps, the disk view below its layers, and the empty layer it writes."""

import asyncio
import contextlib
import os
import shutil
from pathlib import Path

from core.engine import chains
from core.engine.context import Engine
from core.engine.live import Live
from core.errors import Damaged, MachineFailed
from core.files import disk_error, read_error
from core.machine import base as base_images
from core.machine.base import Base
from core.machine.protocol import Layer
from core.store.image_pages import ROOT
from core.store.values import DISK, MEMORY


def make_layer(engine: Engine, image_directory: Path, layer: str) -> None:
    """Make an empty disk layer by copying the image's template. On failure there is none."""
    check_root(image_directory)
    try:
        shutil.copyfile(image_directory / "empty.qcow2", engine.store.layer_path(layer))
    except FileNotFoundError as error:
        raise _lacks(image_directory, "empty.qcow2") from error
    except OSError as error:
        engine.store.layer_path(layer).unlink(missing_ok=True)
        raise disk_error(error, engine.store.layer_path(layer)) from error


def check_root(image_directory: Path) -> None:
    """Damaged without the image's disk: its machines would start, and miss it when they read further."""
    if not (image_directory / ROOT).exists():
        raise _lacks(image_directory, ROOT)


def _lacks(image_directory: Path, file: str) -> Damaged:
    """The error for a missing file of an image. All commits of the image have pages in its files, and building it again
    does not bring those back.
    """
    name = image_directory.name.rpartition("-")[0]
    return Damaged(
        f"image {name} lacks {file}, and so do all its branches: `vertui prune` them, `vertui trash empty`, and"
        f" `vertui image build {name}` makes it again"
    )


async def base_of(engine: Engine, commit: str) -> Base:
    """A commit's memory as a base image: nothing is read before a machine touches it. The caller closes it."""
    path = engine.views.path(commit, MEMORY)
    try:
        return base_images.opened(await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise read_error(error, f"the memory of commit {commit[:12]}") from error


def disk_of(engine: Engine, commit: str) -> Layer:
    """A commit's disk, as the lowest file of a chain of layers."""
    return Layer(commit, engine.views.path(commit, DISK).relative_to(engine.home.root))


async def shorten(engine: Engine, commit: str, layers: tuple[str, ...]) -> None:
    """Put a sealed commit's disk view in place of its layers, under every machine that has them. Layers that no machine
    has after that are removed.

    Waits for captures of these machines that are going on.
    """

    async def one(live: Live) -> None:
        async with live.lock:
            if merged := merged_layers(live.machine.layers, layers):
                with contextlib.suppress(MachineFailed):
                    await live.machine.rebase_disk(disk_of(engine, commit), merged)
                await asyncio.to_thread(chains.keep, engine, live)

    with engine.needing(commit, *layers):  # until machines lie on it: its row may go meanwhile
        await asyncio.gather(*(one(live) for live in list(engine.machines.live.values())))
    engine.collect_layers()


def merged_layers(chain: tuple[str, ...], layers: tuple[str, ...]) -> tuple[str, ...]:
    """The layers of a machine's `chain` that a commit's disk view can replace: the lowest ones, up to the commit's
    last. `layers` are the commit's; the lowest of these may be gone already.

    Empty when the chain does not lie on that commit's state.
    """
    if not chain or chain[0] not in layers:
        return ()
    merged = layers[layers.index(chain[0]) :]
    return merged if chain[: len(merged)] == merged and len(chain) > len(merged) else ()
