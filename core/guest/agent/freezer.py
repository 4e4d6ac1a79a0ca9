"""Freezes every process of the guest but the agent's own, whatever groups the guest has put them in, and thaws them.

Every process is in one group of the cgroup v2 hierarchy. All groups below its root are frozen except the agent's; the
root cannot be, so what is no kernel thread is moved out of it first. The groups frozen are written down in an
attribute of the agent's group: an agent started anew thaws exactly those, and a group the guest had frozen stays so.

Whether all stand still each group is asked by itself: one that has processes of its own says "frozen" once those are,
whatever runs in the groups below it (Linux kernel/cgroup/freezer.c, cgroup_update_frozen).

Who runs on can move about meanwhile, and thaw groups. So the root, where nobody can be frozen, is looked at behind the
groups, and all groups once more behind the root. When anything has moved, the second look is a longer one, which
nobody passes: whoever runs in a group has come to it, or has thawed it, since it stood still, and the kernel reports
either to who polls the group's events, if not at once then within a hundredth of a second (cgroup_file_notify).

What happens between the first process frozen and the answer holds up the guest: groups are walked before.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress

from .groups import AGENT, Group, Groups, Watch, while_there
from .kernel import FOLDER, read_whole, tell_kernel
from .residents import KernelThreads, is_kernel_thread, stat_of

STRAYS = "strays"
"""Where processes go that were found in the root group or in the agent's; their children are born there."""

_NOTE = "user.vertui.frozen"
_REPORTED_S = 0.03
"""Within this time the kernel has reported a change: a hundredth of a second, and two ticks of its slowest clock."""

_SLICE_S = 0.02
"""A group that has not stopped within this time is looked at more closely."""

_EVICT_S = 0.1
"""More time for groups that kernel threads, which never freeze, were taken out of."""

_PAGE_BYTES = 4096


class FreezeFailed(Exception):
    """Not everything could be stopped; the text names a process that runs on."""


class Freezer:
    """Stops the guest. `root` is a descriptor of the hierarchy's top, `ours` the processes that go on running."""

    def __init__(self, root: int, ours: tuple[int, ...]) -> None:
        self._root = root
        self._ours = ours
        self._kernel = KernelThreads()
        with suppress(FileExistsError):
            os.mkdir(AGENT, dir_fd=root)
        self._own = os.open(AGENT, FOLDER, dir_fd=root)
        # Open for writing all the time: the guest cannot make the hierarchy read-only.
        self._members = os.open("cgroup.procs", os.O_RDWR, dir_fd=self._own)
        self._residents = os.open("cgroup.threads", os.O_RDONLY, dir_fd=root)
        self._cleared: tuple[bytes, bytes] | None = None
        self._groups = Groups(root, self._own)
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
            self._groups.refresh()
            self._stop_all(deadline, f"within {timeout_s * 1000:.0f} ms")
        except BaseException as error:
            self.thaw()
            if isinstance(error, OSError):
                raise FreezeFailed(str(error)) from error
            raise
        self.frozen = True

    def thaw(self) -> None:
        """Let everything run again that `freeze` has stopped. OSError when a group cannot be: it can be tried again."""
        if not self._groups.topmost:  # an earlier agent has stopped them
            self._groups.look()
        failures: list[OSError] = []
        for group in self._groups.topmost:
            if group.name in self._stopped:
                try:
                    group.tell(b"0")
                except OSError as error:
                    failures.append(error)
        if failures:
            raise failures[0]
        with suppress(OSError):
            os.removexattr(self._own, _NOTE)
        self._stopped = []
        self.frozen = False

    def _noted(self) -> list[str]:
        with suppress(OSError):
            return os.fsdecode(os.getxattr(self._own, _NOTE)).split("\0")
        return []

    # -- groups --------------------------------------------------------------------------------------------------

    def _stop_all(self, deadline: float, within: str) -> None:
        """Return once nobody is left who could change anything."""
        quiet_s = 0.0
        while not self._stop(deadline, within, quiet_s):
            if time.monotonic() > deadline:
                raise FreezeFailed(f"processes that move from group to group did not stop {within}")
            quiet_s = _REPORTED_S
            self._groups.look()

    def _stop(self, deadline: float, within: str, quiet_s: float) -> bool:
        """Stop what runs; True when all stood still, with nobody else there to change that."""
        self._tell([group for group in self._groups.topmost if not group.is_told()])
        return (
            self._await(deadline, within)
            and self._groups.complete()
            and not self._clear()
            and not (Watch(self._groups.all).changed(quiet_s) if quiet_s else self._groups.moving())
        )

    def _tell(self, groups: list[Group]) -> None:
        """Tell groups to freeze. It is noted before it is done."""
        new = [group.name for group in groups if group.name not in self._stopped]
        if new:
            self._stopped += new
            os.setxattr(self._own, _NOTE, os.fsencode("\0".join(self._stopped)))
        for group in groups:
            group.tell(b"1")

    def _await(self, deadline: float, within: str) -> bool:
        """Wait until each group has stood still; False when one no longer has to, as the guest has thawed it."""
        extended: set[str] = set()
        moving = self._groups.moving()
        while moving:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not Watch(moving).changed(min(left_s, _SLICE_S)):
                if not all(group.is_told() for group in self._groups.topmost):
                    return False
                evicted = {group.name for group in moving if self._evict(group.name, thoroughly=left_s <= 0)}
                if evicted - extended:
                    extended |= evicted
                    deadline += _EVICT_S
                elif left_s <= 0:
                    raise FreezeFailed(self._who(moving[0].name, within))
            moving = [group for group in moving if not group.stands_still()]
        return True

    # -- processes -----------------------------------------------------------------------------------------------

    def _clear(self) -> bool:
        """Take all out of the root group and the agent's that do not belong there; False when there was nobody."""
        seen = _read(self._members), _read(self._residents)
        if seen == self._cleared and not self._kernel.have_ended():
            return False
        members = [int(pid) for pid in seen[0].split()]
        self._gather(members)
        strangers = [pid for pid in members if pid not in self._ours] + self._kernel.others(seen[1].split())
        moved = [self._move_out(tid) for tid in strangers]
        self._cleared = None if strangers else seen
        return any(moved)

    def _gather(self, members: Sequence[int]) -> None:
        """Have our processes in the agent's group, wherever the guest has put them."""
        for pid in self._ours:
            if pid not in members:
                with suppress(ProcessLookupError):
                    os.write(self._members, b"%d" % pid)

    def _move_out(self, tid: int) -> bool:
        """Move a process, all its threads with it; False when it is gone. FreezeFailed when it cannot be moved."""
        with suppress(FileExistsError):
            os.mkdir(STRAYS, dir_fd=self._root)
        try:
            tell_kernel(f"{STRAYS}/cgroup.procs", b"%d" % tid, self._root)
        except ProcessLookupError:
            return False
        except OSError as error:
            raise FreezeFailed(
                f"{_described(tid)} is in the root cgroup and cannot be moved: {error.strerror}"
            ) from error
        return True

    def _evict(self, group: str, *, thoroughly: bool) -> bool:
        """Put kernel threads that the guest has moved there back where all of them are born; was there any?

        Those known are found at once; to find all, each thread of the group is looked at.
        """
        tids = self._threads(group)
        found = (
            [tid for tid in tids if is_kernel_thread(int(tid))] if thoroughly else self._kernel.among(tids)
        )
        moved = 0
        for tid in found:
            with suppress(OSError):  # bound to its place
                tell_kernel("cgroup.procs", tid, self._root)
                moved += 1
        return moved > 0

    def _who(self, group: str, within: str) -> str:
        """Which process it is that has not stopped."""
        for tid in map(int, self._threads(group)):
            with suppress(OSError):
                if stat_of(tid)[1][0] in "RD":
                    return f"{_described(tid)} did not stop {within}"
        return f"processes of the cgroup {group} did not stop {within}"

    def _threads(self, group: str) -> list[bytes]:
        with while_there():
            return read_whole(f"{group}/cgroup.threads", self._root).split()
        return []


def _read(fd: int) -> bytes:
    """All numbers of a list, which the kernel hands out a page at a time: less than a page is the end."""
    text = piece = os.pread(fd, _PAGE_BYTES, 0)
    while len(piece) > _PAGE_BYTES - 16:
        piece = os.pread(fd, _PAGE_BYTES, len(text))
        text += piece
    return text


def _described(tid: int) -> str:
    with suppress(OSError):
        return f"process {tid} ({stat_of(tid)[0]})"
    return f"process {tid}"
