"""What confined children print, on its way to a log, which is not theirs alone: who has it open can empty it."""

import contextlib
import os
import selectors
from pathlib import Path

from core.errors import VertuiError
from core.files import os_files

MOST_BYTES = 256 * 1024  # of one child, whose last words are few: what it prints beyond is dropped
READ_BYTES = 64 * 1024


class Outputs:
    """The pipes of these children, registered with a `selector`."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._left: dict[int, tuple[Path, int]] = {}

    def __contains__(self, pipe: object) -> bool:
        return pipe in self._left

    def __len__(self) -> int:
        return len(self._left)

    def pipe_to(self, log: str) -> int:
        """Where a new child is to print; the caller closes it."""
        pipe, end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(pipe, False)
        self._selector.register(pipe, selectors.EVENT_READ)
        self._left[pipe] = Path(log), MOST_BYTES
        return end

    def hear(self, pipe: int) -> None:
        """Write down what came, if the disk takes it; or be done with a child that has ended."""
        log, left = self._left[pipe]
        try:
            data = os.read(pipe, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            del self._left[pipe]
            self._selector.unregister(pipe)
            os.close(pipe)
            return
        self._left[pipe] = log, max(0, left - len(data))
        with contextlib.suppress(OSError, VertuiError):
            os_files.append(log, data[:left])
