"""What runs in the guest and how it fares, from /proc, for the UI."""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from functools import lru_cache
from typing import TypedDict

from .bounded import Bounded, Late
from .kernel import owner, processes_of_proc, read_proc
from .residents import stat_of

MAX_PROCESSES = 500
MAX_COMMAND_CHARS = 200
COMMAND_LINES_S = 2.0
"""How long command lines may take; a process whose line was not read goes by its name."""

_PAGE_BYTES = os.sysconf("SC_PAGESIZE")


class Process(TypedDict):
    """What is told of one."""

    pid: int
    ppid: int
    user: str
    rss_bytes: int
    command: str


def processes(bounded: Bounded) -> list[Process]:
    """User processes in the order of their pids, at most MAX_PROCESSES; kernel threads are left out."""
    found: list[Process] = []
    for pid in processes_of_proc():
        with suppress(OSError):
            process = _process(pid)
            if process:
                found.append(process)
        if len(found) == MAX_PROCESSES:
            break
    with suppress(Late):
        bounded.run("reading command lines", lambda: _add_command_lines(found), COMMAND_LINES_S)
    return [process.copy() for process in found]


def _process(pid: int) -> Process | None:
    name, values = stat_of(pid)
    ppid, rss_pages = int(values[1]), int(values[21])
    if pid == 2 or ppid == 2:  # kthreadd and its children
        return None
    return {
        "pid": pid,
        "ppid": ppid,
        "user": _user_name(owner(pid)),
        "rss_bytes": rss_pages * _PAGE_BYTES,
        "command": name[:MAX_COMMAND_CHARS],
    }


def _add_command_lines(found: list[Process]) -> None:
    """Replace names by command lines. They lie in a process's memory, which it can keep from being read for ever."""
    for process in found:
        with suppress(OSError):
            line = read_proc(f"{process['pid']}/cmdline", 4 * MAX_COMMAND_CHARS)
            command = line.replace(b"\0", b" ").decode(errors="surrogateescape").strip()
            process["command"] = command[:MAX_COMMAND_CHARS] or process["command"]


@lru_cache(maxsize=256)
def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def stats() -> dict[str, int]:
    """Memory, load and uptime."""
    memory = {}
    for line in read_proc("meminfo").decode().rstrip("\n").split("\n"):
        name, value = line.split()[:2]
        memory[name] = int(value) * 1024
    return {
        "memory_bytes": memory["MemTotal:"],
        "available_bytes": memory["MemAvailable:"],
        "load_percent": int(os.getloadavg()[0] * 100),
        "uptime_s": int(float(read_proc("uptime").split()[0])),
    }
