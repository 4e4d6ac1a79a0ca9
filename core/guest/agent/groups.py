"""All groups of the guest but the agent's own, each held open: what it says of itself is then one call.

A group's `cgroup.events` says whether its own processes stand still, and wakes who polls it when that changes. Who
removes a group takes its files from under the descriptors: they say ENODEV from then on.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from errno import ENODEV, ENOENT

from .kernel import FOLDER

AGENT = "agent"
"""The agent's own group. What the guest makes below it is frozen as all else is."""

_STILL = b"frozen 1"


@contextmanager
def while_there() -> Iterator[None]:
    """Leave off when a group turns out to be removed: its name is not found, or its files say ENODEV."""
    try:
        yield
    except OSError as error:
        if error.errno not in (ENOENT, ENODEV):
            raise


class Group:
    """One group. `topmost` ones are told to freeze, and so all below them."""

    __slots__ = ("_freeze", "events", "gone", "name")

    def __init__(self, root: int, name: str, *, topmost: bool) -> None:
        self.name = name
        self.gone = False
        self.events = os.open(f"{name}/cgroup.events", os.O_RDONLY, dir_fd=root)
        try:
            self._freeze = os.open(f"{name}/cgroup.freeze", os.O_RDWR, dir_fd=root) if topmost else -1
        except OSError:
            os.close(self.events)
            raise

    def stands_still(self) -> bool:
        """Are its own processes frozen? A group that is gone has none."""
        try:
            return _STILL in os.pread(self.events, 64, 0)
        except OSError as error:
            return self._note_gone(error)

    def is_told(self) -> bool:
        """Has this topmost group been told to freeze, by us or by the guest?"""
        try:
            return os.pread(self._freeze, 8, 0) == b"1\n"
        except OSError as error:
            return self._note_gone(error)

    def tell(self, value: bytes) -> None:
        """Tell this topmost group to freeze (b"1") or to run (b"0")."""
        try:
            os.pwrite(self._freeze, value, 0)
        except OSError as error:
            self._note_gone(error)

    def _note_gone(self, error: OSError) -> bool:
        if error.errno != ENODEV:
            raise error
        self.gone = True
        return True

    def close(self) -> None:
        """Let go of it."""
        os.close(self.events)
        if self._freeze >= 0:
            os.close(self._freeze)


class Groups:
    """Those there are, from one freeze to the next: looked for again when their number tells that some are new."""

    def __init__(self, root: int, own: int) -> None:
        self._root = root
        self._own = own
        self._count = os.open("cgroup.stat", os.O_RDONLY, dir_fd=root)
        self.all: list[Group] = []
        self.topmost: list[Group] = []

    def moving(self) -> list[Group]:
        """Those that do not stand still."""
        return [group for group in self.all if not group.stands_still()]

    def complete(self) -> bool:
        """Are these all there are, as far as they have been asked lately?"""
        # The first of its lines is nr_descendants, the agent's group among them.
        count = int(os.pread(self._count, 64, 0).split(None, 2)[1])
        return count == len(self.all) + 1 and not any(group.gone for group in self.all)

    def refresh(self) -> None:
        """Hold what there is now."""
        self.moving()
        if not self.complete():
            self.look()

    def look(self) -> None:
        """Walk all groups: open what is new, let go of what is gone."""
        topmost = {name for name in _folders(self._root) if name != AGENT}
        topmost |= {f"{AGENT}/{name}" for name in _folders(self._own)}
        held, found = {group.name: group for group in self.all}, list[Group]()
        waiting = list(topmost)
        try:
            while waiting:
                name = waiting.pop()
                with while_there():
                    waiting += [f"{name}/{inner}" for inner in self._inside(name)]
                    found.append(
                        _still_there(held.get(name)) or Group(self._root, name, topmost=name in topmost)
                    )
        except BaseException:
            _close(set(found) - set(self.all))
            raise
        _close(set(self.all) - set(found))
        self.all, self.topmost = found, [group for group in found if group.name in topmost]

    def _inside(self, name: str) -> list[str]:
        fd = os.open(name, FOLDER, dir_fd=self._root)
        try:
            return _folders(fd)
        finally:
            os.close(fd)


def _still_there(group: Group | None) -> Group | None:
    """A group held, unless it has been removed, be it that another has its name."""
    if group is not None:
        group.stands_still()
    return None if group is None or group.gone else group


def _close(groups: set[Group]) -> None:
    for group in groups:
        group.close()


def _folders(folder: int) -> list[str]:
    """The groups in a group; listed only if its link count says that there are any."""
    if os.fstat(folder).st_nlink <= 2:
        return []
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


class Watch:
    """What some groups report from now on, each change of any of them since it was last asked."""

    def __init__(self, groups: Iterable[Group]) -> None:
        self._poll = select.poll()
        for group in groups:
            self._poll.register(group.events, select.POLLPRI)

    def changed(self, within_s: float) -> bool:
        """Wait for a change, at most this long; was there one?"""
        return bool(self._poll.poll(within_s * 1000))
