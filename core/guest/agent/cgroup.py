"""The work group: every process of the guest but init and the agent, so that all can be frozen at once."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .kernel import read_file, write_file


class FreezeFailed(Exception):
    """Something in the work group did not stop in time."""


class WorkGroup:
    """A cgroup v2 directory; each command gets a group of its own below it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._outside = path.rpartition("/")[0]
        self.frozen = read_file(f"{path}/cgroup.freeze").strip() == b"1"
        self._leftover: set[str] = set()

    def create(self, name: str) -> str:
        """Make a group for one command and return its path; an agent started anew meets none of its forerunner's."""
        path = f"{self.path}/{name}.{os.getpid()}"
        os.mkdir(path)  # noqa: PTH102
        return path

    @contextmanager
    def joined(self, group: str) -> Iterator[None]:
        """Be in a command's group for a moment, so that what is started is born there. Never while frozen."""
        write_file(f"{group}/cgroup.procs", b"0")
        try:
            yield
        finally:
            write_file(f"{self._outside}/cgroup.procs", b"0")

    def discard(self, path: str) -> None:
        """Remove a command's group, now or, when processes it left behind still run, once they are gone."""
        self._leftover.add(path)
        for leftover in list(self._leftover):
            with suppress(OSError):
                os.rmdir(leftover)  # noqa: PTH106
                self._leftover.discard(leftover)

    def freeze(self, timeout_s: float) -> None:
        """Stop every process of the group; FreezeFailed (and all run again) when one does not stop in time."""
        deadline = time.monotonic() + timeout_s
        events = os.open(f"{self.path}/cgroup.events", os.O_RDONLY)
        try:
            self._set("1")
            poll = select.poll()
            poll.register(events, select.POLLPRI)
            while b"frozen 1" not in os.pread(events, 256, 0):
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    self._set("0")
                    raise FreezeFailed(f"processes did not stop within {timeout_s * 1000:.0f} ms")
                poll.poll(left_s * 1000)
        finally:
            os.close(events)
        self.frozen = True

    def thaw(self) -> None:
        """Let every process run again."""
        self._set("0")
        self.frozen = False

    def _set(self, value: str) -> None:
        write_file(f"{self.path}/cgroup.freeze", value.encode())


def kill_group(path: str) -> None:
    """SIGKILL every process of a command's group, however it detached itself."""
    with suppress(OSError):
        write_file(f"{path}/cgroup.kill", b"1")
