"""The root disk written out, so that it can be read from outside."""

from __future__ import annotations

import os
from contextlib import suppress

from .bounded import Bounded, Late
from .kernel import sync_filesystem

EVERYTHING_S = 2.0
"""How long other filesystems may take: those that lie in files of our disk then have their latest there too."""

RUNNING_S = 6.0
FROZEN_S = 1.5
"""How long the disk may take, with the guest running and standing still. Together less than the host waits."""


class RootDisk:
    """The filesystem the guest started from, however its tree of mounts looks by now."""

    def __init__(self, path: str = "/") -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self._bounded = Bounded()

    def flush_running(self) -> None:
        """Write everything out while all runs; of other filesystems only what comes in time. Late, OSError.

        One served from inside the guest may never answer: it holds up nothing but itself.
        """
        with suppress(Late):
            self._bounded.run("sync", os.sync, EVERYTHING_S)
            return
        self._flush(RUNNING_S)

    def flush_frozen(self) -> None:
        """Write out what has become dirty since, on the disk alone: it needs nothing that is frozen. Late, OSError."""
        self._flush(FROZEN_S)

    def _flush(self, timeout_s: float) -> None:
        self._bounded.run("writing out the root disk", lambda: sync_filesystem(self._fd), timeout_s)
