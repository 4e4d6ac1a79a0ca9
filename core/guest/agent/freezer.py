"""Freezes every process of the guest but the agent's own, whatever groups the guest has put them in, and thaws them.

Every process is in one group of the cgroup v2 hierarchy. All groups below its root are frozen except the agent's; the
root cannot be, so what is no kernel thread is moved out of it first. The groups frozen are written down in an
attribute of the agent's group: an agent started anew thaws exactly those, and a group the guest had frozen stays so.

Whether all stand still each group is asked by itself: one that has processes of its own says "frozen" once those are,
whatever runs in the groups below it (Linux kernel/cgroup/freezer.c, cgroup_update_frozen).
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from .kernel import read_file, read_whole, tell_kernel
from .residents import KernelThreads, is_kernel_thread, stat_of

OWN = "agent"
STRAYS = "strays"
"""Where processes go that were found in the root group or in the agent's; their children are born there."""

_NOTE = "user.vertui.frozen"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_EVICT_S = 0.1
"""More time for a group that kernel threads, which never freeze, were taken out of."""


class FreezeFailed(Exception):
    """Not everything could be stopped; the text names a process that runs on."""


class Freezer:
    """Stops the guest. `root` is a descriptor of the hierarchy's top, `ours` the processes that go on running."""

    def __init__(self, root: int, ours: tuple[int, ...]) -> None:
        self._root = root
        self._ours = ours
        self._kernel = KernelThreads()
        with suppress(FileExistsError):
            os.mkdir(OWN, dir_fd=root)
        self._own = os.open(OWN, _FOLDER, dir_fd=root)
        # Open for writing all the time: the guest cannot make the hierarchy read-only.
        self._members = os.open("cgroup.procs", os.O_RDWR, dir_fd=self._own)
        self._stopped = self._noted()
        self.frozen = bool(self._stopped)
        self._gather(())

    def come_home(self) -> None:
        """Be in the agent's own group again."""
        os.write(self._members, b"0")

    def freeze(self, timeout_s: float) -> None:
        """Stop every other process; FreezeFailed (and all run again) when one does not stop in time."""
        if self.frozen:
            return
        deadline = time.monotonic() + timeout_s
        try:
            self._clear()  # most of the work, done while everything runs
            while not self._settled():
                for group in self._everything():
                    self._await(group, deadline, timeout_s)
        except (OSError, FreezeFailed) as error:
            self.thaw()
            raise FreezeFailed(str(error)) from error
        self.frozen = True

    def thaw(self) -> None:
        """Let everything run again that `freeze` has stopped."""
        for group in self._stopped:
            with suppress(OSError):
                tell_kernel(f"{group}/cgroup.freeze", b"0", self._root)
        with suppress(OSError):
            os.removexattr(self._own, _NOTE)
        self._stopped = []
        self.frozen = False

    def _noted(self) -> list[str]:
        with suppress(OSError):
            return os.fsdecode(os.getxattr(self._own, _NOTE)).split("\0")
        return []

    # -- groups --------------------------------------------------------------------------------------------------

    def _groups(self) -> Iterator[str]:
        """Every group right below the root or below the agent's own."""
        yield from (name for name in _folders(self._root) if name != OWN)
        yield from (f"{OWN}/{name}" for name in _folders(self._own))

    def _everything(self) -> Iterator[str]:
        """Those and all below them."""
        for group in self._groups():
            yield from self._below(group)

    def _below(self, group: str) -> Iterator[str]:
        """A group and all below it."""
        yield group
        with suppress(OSError):
            fd = os.open(group, _FOLDER, dir_fd=self._root)
            try:
                names = _folders(fd)
            finally:
                os.close(fd)
            for name in names:
                yield from self._below(f"{group}/{name}")

    def _settled(self) -> bool:
        """Stop what is not stopped; True when there was nothing, so that nobody is left who could change it."""
        groups = list(self._groups())
        changed = self._stop([group for group in groups if not self._told(group)]) or self._clear()
        return not changed and len(groups) == self._count() and all(map(self._is_frozen, self._everything()))

    def _count(self) -> int:
        """How many groups there are now: a group has a link for each below it, and two."""
        return os.fstat(self._root).st_nlink - 3 + os.fstat(self._own).st_nlink - 2

    def _stop(self, groups: list[str]) -> bool:
        """Tell groups to freeze; False when there are none. It is noted before it is done."""
        if groups:
            self._stopped += groups
            os.setxattr(self._own, _NOTE, os.fsencode("\0".join(self._stopped)))
        for group in groups:
            with suppress(FileNotFoundError):
                tell_kernel(f"{group}/cgroup.freeze", b"1", self._root)
        return bool(groups)

    def _told(self, group: str) -> bool:
        """Has a group been told to freeze, by us or by the guest?"""
        with suppress(OSError):
            return read_file(f"{group}/cgroup.freeze", 16, self._root) == b"1\n"
        return True

    def _is_frozen(self, group: str) -> bool:
        with suppress(OSError):
            return b"frozen 1" in read_file(f"{group}/cgroup.events", 256, self._root)
        return True

    def _await(self, group: str, deadline: float, timeout_s: float) -> None:
        try:
            events = os.open(f"{group}/cgroup.events", os.O_RDONLY, dir_fd=self._root)
        except FileNotFoundError:
            return
        try:
            poll = select.poll()
            poll.register(events, select.POLLPRI)
            while b"frozen 1" not in os.pread(events, 256, 0):
                left_s = deadline - time.monotonic()
                if left_s > 0:
                    poll.poll(left_s * 1000)
                elif self._evict_kernel_threads(group):
                    deadline += _EVICT_S
                else:
                    raise FreezeFailed(self._who(group, timeout_s))
        finally:
            os.close(events)

    # -- processes -----------------------------------------------------------------------------------------------

    def _clear(self) -> bool:
        """Take all out of the root group and the agent's that do not belong there; False when there was nobody."""
        members = [int(pid) for pid in os.pread(self._members, 64 * 1024, 0).split()]
        self._gather(members)
        strangers = [pid for pid in members if pid not in self._ours]
        strangers += self._kernel.others(map(int, read_whole("cgroup.threads", self._root).split()))
        moved = [self._move_out(number) for number in strangers]
        return any(moved)

    def _gather(self, members: Sequence[int]) -> None:
        """Have our processes in the agent's group, wherever the guest has put them."""
        for pid in self._ours:
            if pid not in members:
                with suppress(ProcessLookupError):
                    os.write(self._members, b"%d" % pid)

    def _move_out(self, number: int) -> bool:
        """Move a process, all its threads with it; False when it is gone. FreezeFailed when it cannot be moved."""
        with suppress(FileExistsError):
            os.mkdir(STRAYS, dir_fd=self._root)
        try:
            tell_kernel(f"{STRAYS}/cgroup.procs", b"%d" % number, self._root)
        except ProcessLookupError:
            return False
        except OSError as error:
            raise FreezeFailed(
                f"{_described(number)} is in the root cgroup and cannot be moved: {error.strerror}"
            ) from error
        return True

    def _evict_kernel_threads(self, group: str) -> bool:
        """Put the kernel's threads, should the guest have moved some there, back where all of them are born."""
        found = [number for number in self._threads(group) if is_kernel_thread(number)]
        for number in found:
            with suppress(OSError):
                tell_kernel("cgroup.procs", b"%d" % number, self._root)
        return bool(found)

    def _who(self, group: str, timeout_s: float) -> str:
        """Which process it is that has not stopped."""
        within = f"did not stop within {timeout_s * 1000:.0f} ms"
        for number in self._threads(group):
            with suppress(OSError):
                if stat_of(number)[1][0] in "RD":
                    return f"{_described(number)} {within}"
        return f"processes of the cgroup {group} {within}"

    def _threads(self, group: str) -> Iterator[int]:
        """The threads of a group that is not frozen yet."""
        if not self._is_frozen(group):
            with suppress(OSError):
                yield from map(int, read_whole(f"{group}/cgroup.threads", self._root).split())


def _folders(folder: int) -> list[str]:
    """The groups in a group; listed only if its link count says that there are any."""
    if os.fstat(folder).st_nlink <= 2:
        return []
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


def _described(number: int) -> str:
    with suppress(OSError):
        return f"process {number} ({stat_of(number)[0]})"
    return f"process {number}"
