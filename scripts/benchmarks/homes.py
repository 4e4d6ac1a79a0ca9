"""Homes to measure in: a built one, and copies of it that share its files."""

import functools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.daemon.client import Client
from core.daemon.start import end_all, ensure_daemon
from core.home import Home, find_home
from core.model import Image

BUILD = Path(__file__).parents[2] / "build"
ROOT = BUILD / "bench" / "homes"
MACHINES_MIB = {"base": 512, "small": 256, "large": 2048}  # the images of `machines`, by their guests' memory


def built() -> Home:
    """A home with an image and its golden commit: the tests', or one made for this."""
    for path in (BUILD / "test-home", ROOT / "built"):
        if any((path / "commits").glob("*.commit")):
            return find_home(str(path))
    return _with_images("built", ("base",))[0]


def machines(*images: str) -> Home:
    """A home with these images as this source makes them: built when something of them changed, else at once."""
    return _with_images("machines", images)[0]


def base_image() -> Image:
    """The image `base` of `machines`."""
    return _with_images("machines", ("base",))[1][0]


@functools.cache
def _with_images(name: str, images: tuple[str, ...]) -> tuple[Home, list[Image]]:
    home = find_home(str(ROOT / name))
    ensure_daemon(home)
    try:
        built = [Client(home).image_build(image, memory=MACHINES_MIB[image] << 20) for image in images]
        Client(home).change_setting("policy.default", "0")  # no commit but those that are measured
    finally:
        end_all(home)
    return home, built


@contextmanager
def copied(name: str, *, images_only: bool = False, source: Home | None = None) -> Iterator[Home]:
    """A copy of the built home, gone afterwards; files that never change are linked. `images_only`: an empty store."""
    origin, target = (source or built()).root, ROOT / name
    shutil.rmtree(target, ignore_errors=True)
    left_out = ("*lock", "log", "cache", *(("store", "commits", "catalog.db*") if images_only else ()))
    shutil.copytree(
        origin, target, copy_function=os.link, ignore=shutil.ignore_patterns("catalog.db*", *left_out)
    )
    if not images_only:
        for path in origin.glob("catalog.db*"):
            shutil.copy2(path, target / path.name)
    home = find_home(str(target))
    try:
        yield home
    finally:
        end_all(home)
        shutil.rmtree(home.runtime, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
