"""How a module of ours is started as a process of its own."""

import sys


def program(module: str, *arguments: str) -> list[str]:
    """Its command line. -P: nothing is imported from the directory that somebody happens to be in."""
    return [sys.executable, "-P", "-m", module, *arguments]
