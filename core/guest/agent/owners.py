"""Whose a socket is, by its port: the tables of /proc/net tell its inode, and who has a descriptor of that is it.

For a word to the user, so that it may be wrong or nothing: programs of the guest may have any number of both, and who
connected may be gone.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TypedDict

from .kernel import FOLDER, names_in, open_proc, processes_of_proc
from .residents import stat_of

LONGEST_S = 0.3
"""The agent does nothing else meanwhile."""

PIECE_BYTES = 64 * 1024
MOST_BYTES = 512 * 1024  # of a table: some three thousand sockets
TABLES = {"tcp": ("net/tcp", "net/tcp6"), "udp": ("net/udp", "net/udp6")}


class Owner(TypedDict, total=False):
    """A process; nothing where none is found."""

    pid: int
    name: str


def owner_of(protocol: str, port: int) -> Owner:
    """The newest process that has the socket at a local port."""
    until = time.monotonic() + LONGEST_S
    links = {f"socket:[{inode}]" for table in TABLES.get(protocol, ()) for inode in _inodes(table, port)}
    for pid in reversed(processes_of_proc()) if links else ():
        if time.monotonic() > until:
            break
        with suppress(OSError):
            if _has(pid, links, until):
                return {"pid": pid, "name": stat_of(pid)[0]}
    return {}


def _inodes(table: str, port: int) -> set[int]:
    """Of the sockets at a port that have an owner, by a table as proc_pid_net(5) has it."""
    with suppress(OSError):
        wanted = f":{port:04X}"
        lines = (line.split() for line in _read(table).decode().split("\n")[1:])
        return {int(words[9]) for words in lines if len(words) > 9 and words[1].endswith(wanted)} - {0}
    return set()


def _read(table: str) -> bytes:
    """The beginning of a table, which the kernel hands out by the page."""
    told, fd = b"", open_proc(table, os.O_RDONLY)
    try:
        while len(told) < MOST_BYTES and (more := os.read(fd, PIECE_BYTES)):
            told += more
        return told
    finally:
        os.close(fd)


def _has(pid: int, links: set[str], until: float) -> bool:
    folder = open_proc(f"{pid}/fd", FOLDER)
    try:
        for name in names_in(".", folder):
            with suppress(OSError):
                if os.readlink(name, dir_fd=folder) in links:
                    return True
            if time.monotonic() > until:
                break
        return False
    finally:
        os.close(folder)
