"""What a home takes beside its commits, and how much of it can go."""

import asyncio
import os
from pathlib import Path

from core.engine.context import Engine
from core.engine.images import image_bytes, plan_remove_image, remove_image
from core.errors import Conflict
from core.image.build import empty_cache
from core.log import KEPT_BYTES, shorten
from core.log_files import OLDER
from core.model import Image


def taken(engine: Engine) -> dict[str, int]:
    """Bytes by what takes them; names are fields of `StoreSpace`."""
    home = engine.home
    return {
        "images_bytes": tree_bytes(home.images),
        "layers_bytes": tree_bytes(home.layers),
        "cache_bytes": tree_bytes(home.cache),
        "journals_bytes": tree_bytes(home.journal),
        "logs_bytes": tree_bytes(home.log),
        "reserve_bytes": tree_bytes(home.reserve),
    }


def spare_images(engine: Engine) -> list[Image]:
    """Images that another of the same name replaced and that nothing needs: they have no branch, and no commit but the
    golden one.
    """
    found = []
    for image in engine.catalog.images():
        try:
            plan = plan_remove_image(engine, image.id)
        except Conflict:
            continue
        alone = image.name == image.id and plan.commits == (image.golden,)
        if alone and not engine.catalog.commit(image.golden).tags:
            found.append(image)
    return found


async def clear(engine: Engine, *, cache: bool) -> int:
    """Remove such images, the older part of logs, and with `cache` what images were made of; bytes freed."""
    freed = 0
    while spare := spare_images(engine):  # looked for again each time: what was spare may be used by then
        freed += image_bytes(engine, spare[0])
        await remove_image(engine, spare[0].id)
    before = tree_bytes(engine.home.log)
    for log in engine.home.log.glob("*.log"):
        await asyncio.to_thread(shorten, log, KEPT_BYTES)
    for older in engine.home.log.glob(f"*{OLDER}"):
        older.unlink(missing_ok=True)
    freed += before - tree_bytes(engine.home.log)
    return freed + (await asyncio.to_thread(empty_cache, engine.home.cache) if cache else 0)


async def clearing(engine: Engine, *, cache: bool) -> tuple[int, list[str]]:
    """What `clear` would free, and a line for each thing."""
    spare = spare_images(engine)
    lines = [f"image {image.id} goes: another took its name, and nothing was kept of it" for image in spare]
    frees = sum(image_bytes(engine, image) for image in spare)
    logs = sum(max(0, log.stat().st_size - KEPT_BYTES) for log in engine.home.log.glob("*.log"))
    logs += sum(map(tree_bytes, engine.home.log.glob(f"*{OLDER}")))
    lines += ["the older part of logs goes"] if logs else []
    cached = await asyncio.to_thread(tree_bytes, engine.home.cache) if cache else 0
    lines += ["the cache goes: the next image to build is downloaded"] if cached else []
    return frees + logs + cached, lines


def tree_bytes(top: Path) -> int:
    """What a file, or a tree, takes on disk; what goes meanwhile is not counted."""
    try:
        size = top.lstat().st_blocks * 512
    except OSError:
        return 0
    for directory, _, files in os.walk(top):
        for name in files:
            size += tree_bytes(Path(directory, name))
    return size
