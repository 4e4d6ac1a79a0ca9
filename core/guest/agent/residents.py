"""Who is in the root cgroup: kernel threads, which belong there, and whoever else, who cannot be frozen there."""

from __future__ import annotations

import os
import select
from collections.abc import Iterable
from contextlib import suppress

from .kernel import read_proc

_PF_KTHREAD = 0x00200000
_FLAGS = 6  # of the fields of /proc/PID/stat behind the name


class KernelThreads:
    """The kernel's threads, each looked at once.

    A number is trusted while its pidfd says that the thread lives: until then nobody else can bear it.
    """

    def __init__(self) -> None:
        self._ended = select.epoll()
        self._numbers: dict[int, int] = {}
        self._fds: dict[int, int] = {}

    def others(self, numbers: Iterable[int]) -> list[int]:
        """Those of some threads, alive a moment ago, that are no kernel threads."""
        numbers = list(numbers)
        self._forget_ended()
        unknown = [number for number in numbers if number not in self._numbers]
        if unknown:
            for number in unknown:
                self._look_at(number)
            self._forget_ended()  # one that ended while it was looked at is not what it was taken for
        return [number for number in unknown if number not in self._numbers]

    def _look_at(self, number: int) -> None:
        try:
            fd = os.pidfd_open(number)
        except OSError:  # it is gone, or a thread but no process of its own
            return
        if is_kernel_thread(number):
            self._numbers[number], self._fds[fd] = fd, number
            self._ended.register(fd, select.EPOLLIN)
        else:
            os.close(fd)

    def _forget_ended(self) -> None:
        for fd, _ in self._ended.poll(0):
            self._ended.unregister(fd)
            os.close(fd)
            self._numbers.pop(self._fds.pop(fd))


def is_kernel_thread(number: int) -> bool:
    """Whether a thread that exists is the kernel's; one that is gone is nobody's."""
    with suppress(OSError):
        return bool(int(stat_of(number)[1][_FLAGS]) & _PF_KTHREAD)
    return False


def stat_of(number: int) -> tuple[str, list[str]]:
    """A thread's name and what follows it in /proc/PID/stat, its state first; OSError when it is gone."""
    head, _, rest = read_proc(f"{number}/stat", 1024).decode(errors="surrogateescape").rpartition(")")
    return head.partition("(")[2], rest.split()
