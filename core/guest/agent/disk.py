"""The root disk written out, so that it can be read from outside."""

from __future__ import annotations

import os
from contextlib import suppress

from .bounded import Calls, Late
from .kernel import FOLDER, sync_filesystem

EVERYTHING, RUNNING, FROZEN = 0.2, 0.6, 0.15
"""Shares of the time there is: for all filesystems (some lie in files of our disk); for the disk while the guest runs;
for it while the guest stands still.
"""


class RootDisk:
    """The filesystem the guest started from, however its tree of mounts looks by now."""

    def __init__(self, path: str = "/") -> None:
        self._fd = os.open(path, FOLDER)

    def flush_running(self, calls: Calls, within_s: float) -> None:
        """Write everything out while all runs; of other filesystems only what comes in time. Late, OSError.

        One served from inside the guest may never answer: it holds up nothing but itself.
        """
        with suppress(Late):
            calls.run("sync", os.sync, EVERYTHING * within_s)
            return
        self._flush(calls, RUNNING * within_s)

    def flush_frozen(self, calls: Calls, within_s: float) -> None:
        """Write out what has become dirty since, on the disk alone: it needs nothing that is frozen. Late, OSError."""
        self._flush(calls, FROZEN * within_s)

    def _flush(self, calls: Calls, timeout_s: float) -> None:
        calls.run("writing out the root disk", lambda: sync_filesystem(self._fd), timeout_s)
