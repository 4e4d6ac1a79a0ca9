"""Homes to measure in: a built one, and copies of it that share its files."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.daemon.client import Client
from core.daemon.start import end_all, ensure_daemon
from core.home import Home, find_home

BUILD = Path(__file__).parents[2] / "build"
ROOT = BUILD / "bench" / "homes"


def built() -> Home:
    """A home with an image and its golden commit: the tests', or one made for this."""
    for path in (BUILD / "test-home", ROOT / "built"):
        if any((path / "commits").glob("*.commit")):
            return find_home(str(path))
    home = find_home(str(ROOT / "built"))
    ensure_daemon(home)
    try:
        Client(home).build_image("base", {})
    finally:
        end_all(home)
    return home


@contextmanager
def copied(name: str, *, images_only: bool = False) -> Iterator[Home]:
    """A copy of the built home, gone afterwards; files that never change are linked. `images_only`: an empty store."""
    source, target = built().root, ROOT / name
    shutil.rmtree(target, ignore_errors=True)
    left_out = ("lock", "log", "cache", *(("store", "commits", "catalog.db*") if images_only else ()))
    shutil.copytree(
        source, target, copy_function=os.link, ignore=shutil.ignore_patterns("catalog.db*", *left_out)
    )
    if not images_only:
        for path in source.glob("catalog.db*"):
            shutil.copy2(path, target / path.name)
    home = find_home(str(target))
    try:
        yield home
    finally:
        end_all(home)
        shutil.rmtree(home.runtime, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
