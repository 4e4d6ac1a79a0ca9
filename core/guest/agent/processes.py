"""What runs in the guest and how it fares, from /proc, for the UI."""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from .kernel import read_file

MAX_PROCESSES = 500
MAX_COMMAND_CHARS = 200

_PAGE_BYTES = os.sysconf("SC_PAGESIZE")


def processes() -> list[dict[str, Any]]:
    """User processes in the order of their pids, at most MAX_PROCESSES; kernel threads are left out."""
    found: list[dict[str, Any]] = []
    for pid in sorted(int(entry.name) for entry in os.scandir("/proc") if entry.name.isdecimal()):
        with suppress(OSError):
            process = _process(pid)
            if process:
                found.append(process)
        if len(found) == MAX_PROCESSES:
            break
    return found


def _process(pid: int) -> dict[str, Any] | None:
    line = read_file(f"/proc/{pid}/cmdline", 4 * MAX_COMMAND_CHARS)
    name, _, rest = read_file(f"/proc/{pid}/stat").decode(errors="surrogateescape").rpartition(")")
    values = rest.split()
    ppid, rss_pages = int(values[1]), int(values[21])
    if pid == 2 or ppid == 2:  # kthreadd and its children
        return None
    command = line.replace(b"\0", b" ").decode(errors="surrogateescape").strip()
    return {
        "pid": pid,
        "ppid": ppid,
        "user": _user_name(Path(f"/proc/{pid}").stat().st_uid),
        "rss_bytes": rss_pages * _PAGE_BYTES,
        "command": (command or name.partition("(")[2])[:MAX_COMMAND_CHARS],
    }


@lru_cache(maxsize=256)
def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def stats() -> dict[str, Any]:
    """Memory, load and uptime."""
    memory = {}
    for line in read_file("/proc/meminfo").decode().rstrip("\n").split("\n"):
        name, value = line.split()[:2]
        memory[name] = int(value) * 1024
    return {
        "memory_bytes": memory["MemTotal:"],
        "available_bytes": memory["MemAvailable:"],
        "load_percent": int(os.getloadavg()[0] * 100),
        "uptime_s": int(float(read_file("/proc/uptime").split()[0])),
    }
