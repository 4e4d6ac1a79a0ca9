"""Who is in the root cgroup: kernel threads, which belong there, and whoever else, who cannot be frozen there."""

from __future__ import annotations

import os
import select
from collections.abc import Iterable
from contextlib import suppress
from errno import EINVAL, ENOENT, ESRCH

from .kernel import read_proc

_PF_KTHREAD = 0x00200000
_FLAGS = 6  # of the fields of /proc/PID/stat behind the name


class KernelThreads:
    """The kernel's threads, each looked at once.

    A number is trusted while its pidfd says that the thread lives: until then nobody else can bear it.
    """

    def __init__(self) -> None:
        self._ended = select.epoll()
        self._fds: dict[bytes, int] = {}
        self._tids: dict[int, bytes] = {}

    def have_ended(self) -> bool:
        """Has any of those known ended since `others` was asked?"""
        return bool(self._ended.poll(0, 1))

    def others(self, tids: Iterable[bytes]) -> list[int]:
        """Those of some threads, alive a moment ago, that are no kernel threads."""
        self._forget_ended()
        unknown = set(tids).difference(self._fds)
        if unknown:
            for tid in unknown:
                self._look_at(tid)
            self._forget_ended()  # one that ended while it was looked at is not what it was taken for
        return sorted(map(int, unknown.difference(self._fds)))

    def among(self, tids: Iterable[bytes]) -> set[bytes]:
        """Those of some threads that are known to be the kernel's."""
        self._forget_ended()
        return self._fds.keys() & set(tids)

    def _look_at(self, tid: bytes) -> None:
        try:
            fd = os.pidfd_open(int(tid))
        except OSError as error:
            if error.errno not in (
                ESRCH,
                EINVAL,
                ENOENT,
            ):  # it is gone, or a thread but no process of its own
                raise
            return
        if is_kernel_thread(int(tid)):
            self._fds[tid], self._tids[fd] = fd, tid
            self._ended.register(fd, select.EPOLLIN)
        else:
            os.close(fd)

    def _forget_ended(self) -> None:
        for fd, _ in self._ended.poll(0):
            self._ended.unregister(fd)
            os.close(fd)
            self._fds.pop(self._tids.pop(fd))


def is_kernel_thread(tid: int) -> bool:
    """Whether a thread that exists is the kernel's; one that is gone is nobody's."""
    with suppress(OSError):
        return bool(int(stat_of(tid)[1][_FLAGS]) & _PF_KTHREAD)
    return False


def stat_of(tid: int) -> tuple[str, list[str]]:
    """A thread's name and what follows it in /proc/PID/stat, its state first; OSError when it is gone."""
    head, _, rest = read_proc(f"{tid}/stat", 1024).decode(errors="surrogateescape").rpartition(")")
    return head.partition("(")[2], rest.split()
