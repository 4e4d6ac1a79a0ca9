"""What memory there is, and what processes take of it."""

import contextlib
from pathlib import Path

from core.errors import NoRoom


def available_bytes() -> int:
    """Memory the kernel would give without swapping (MemAvailable)."""
    for line in Path("/proc/meminfo").read_text().split("\n"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise NoRoom("/proc/meminfo does not tell how much memory is available")


def pss_bytes(pid: int) -> int:
    """What a process takes, its share of shared pages counted; 0 when it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().split("\n"):
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
