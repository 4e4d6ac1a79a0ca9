"""How a module of ours is started as a process of its own."""

import sys
from pathlib import Path


def program(module: str, *arguments: str) -> list[str]:
    """Its command line. -P: nothing is imported from the directory that somebody happens to be in."""
    return [sys.executable, "-P", "-m", module, *arguments]


def lone_program(path: Path, *arguments: str) -> list[str]:
    """That of a file that needs nothing but the standard library: it starts in half the time."""
    return [sys.executable, "-IS", str(path), *arguments]
