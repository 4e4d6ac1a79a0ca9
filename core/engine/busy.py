"""How busy a machine's process is."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

LEAST_S = 0.5  # over less than that a share of a processor is chance


def processor_s(pid: int) -> float:
    """How many seconds of a core a process has taken; psutil.Error for one that has ended."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


@dataclass
class Busy:
    """The share of a core that a process took since it was looked at before, as `processor_s` tells what it took."""

    percent: int = 0
    processor_s: Callable[[int], float] = processor_s
    _pid: int = 0
    _at: float = 0.0
    _used_s: float = 0.0

    def look(self, pid: int) -> int:
        """In percent; what was found last while it is too soon to tell."""
        now = time.monotonic()
        if pid == self._pid and now - self._at < LEAST_S:
            return self.percent
        with contextlib.suppress(psutil.Error):
            used_s = self.processor_s(pid)
            self.percent = round(100 * (used_s - self._used_s) / (now - self._at)) if pid == self._pid else 0
            self._pid, self._at, self._used_s = pid, now, used_s
        return self.percent
