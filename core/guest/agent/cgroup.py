"""The groups commands are started in, each with one of its own below the work group, and the freezing of all groups."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .freezer import Freezer
from .kernel import FOLDER, names_in, tell_kernel
from .standing import Standing

WORK = "work"
_OURS = re.compile(r"(command|ssh)-\d+\.\d+")


class WorkGroup:
    """A cgroup v2 hierarchy: a descriptor of its top, or the path of a group to take for it.

    `keeper` is the process that starts the agent again, 0 for none: it goes on running as the agent does.
    """

    def __init__(self, root: int | str, keeper: int = 0) -> None:
        self._root = os.open(root, FOLDER) if isinstance(root, str) else root
        self._leftover: set[str] = set()
        self._standing = Standing()
        self._freezer = Freezer(self._root, (os.getpid(), keeper) if keeper else (os.getpid(),))
        self._take_over()

    @property
    def frozen(self) -> bool:
        """Does everything but the agent stand still?"""
        return self._freezer.frozen

    def freeze(self, timeout_s: float) -> None:
        """Stop every process but the agent's own; FreezeFailed (and all run again) when one does not stop in time."""
        self._freezer.freeze(timeout_s)

    def thaw(self) -> None:
        """Let everything run again that was stopped."""
        self._freezer.thaw()

    def create(self, name: str) -> str:
        """Make a group for one command and return its name; an agent started anew meets none of its forerunner's."""
        with suppress(FileExistsError):
            os.mkdir(WORK, dir_fd=self._root)
        group = f"{WORK}/{name}.{os.getpid()}"
        os.mkdir(group, dir_fd=self._root)
        return group

    @contextmanager
    def joined(self, group: str) -> Iterator[None]:
        """Be in a command's group for a moment, as ordinary a process as others, so that what is started is born so.

        OSError while frozen: the child would stop before it is another program, and the agent with it.
        """
        if self.frozen:
            raise OSError("the guest is frozen")
        tell_kernel(f"{group}/cgroup.procs", b"0", self._root)
        try:
            with self._standing.lowered():
                yield
        finally:
            self._freezer.come_home()

    def discard(self, group: str) -> None:
        """Remove a command's group, now or, when processes it left behind still run, once they are gone."""
        self._leftover.add(group)
        for leftover in list(self._leftover):
            with suppress(OSError):
                with suppress(FileNotFoundError):  # the guest has removed it
                    os.rmdir(leftover, dir_fd=self._root)
                self._leftover.discard(leftover)

    def _take_over(self) -> None:
        """Remove the groups that an agent before this one has left, once they are empty."""
        with suppress(FileNotFoundError):
            for name in names_in(WORK, self._root):
                if _OURS.fullmatch(name):
                    self.discard(f"{WORK}/{name}")

    def kill(self, group: str) -> None:
        """SIGKILL every process of a command's group, however it detached itself."""
        with suppress(OSError):
            tell_kernel(f"{group}/cgroup.kill", b"1", self._root)
