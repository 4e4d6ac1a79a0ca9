"""Directories of files that builds make and later ones rely on: whole, or made anew.

Each has a list of its files and their sizes, written when all of them are on disk. It tells a directory that is whole
from one that has lost something since: to whoever tidied up, to a copy that was cut short, to a host without power.
"""

import json
import os
import shutil
from pathlib import Path

from core.files import os_files, sync_directory, write_atomic

LIST = "whole.json"


def settle(directory: Path) -> None:
    """Make what was put into a directory durable, and write its list."""
    sizes: dict[str, int] = {}
    for top, _, names in os.walk(directory):
        for path in (Path(top, name) for name in names):
            os_files.fsync(path)
            sizes[str(path.relative_to(directory))] = path.stat().st_size
        sync_directory(Path(top))
    write_atomic(directory / LIST, json.dumps(sizes).encode())


def is_whole(directory: Path) -> bool:
    """Are all files of its list there, none cut? What else is there was put beside them later."""
    try:
        sizes = json.loads((directory / LIST).read_bytes())
        return bool(sizes) and all((directory / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def remove(directory: Path, scratch: Path) -> None:
    """Remove a directory, by way of a name in `scratch`: whoever is killed meanwhile leaves none with its own name that
    has lost half of its files.
    """
    gone = directory.replace(scratch / f"gone-{directory.name}")
    shutil.rmtree(gone)
