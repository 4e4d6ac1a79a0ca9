"""What the daemon prints: each record once however often it comes, in files that do not grow without bound."""

import contextlib
import io
import os
import time
from collections import OrderedDict
from pathlib import Path

LARGEST_BYTES = 4 << 20  # of a log, before its older part goes
KEPT_BYTES = 1 << 20  # of it, the newest
REMEMBERED = 256  # records, each of which is not printed again …
FORGOTTEN_S = 600.0  # … for so long


class Log(io.TextIOBase):
    """Standard output and error on a descriptor. A record is a line with the indented ones and the heads before it, as
    a traceback is. Nothing that it is given fails: a full disk must not end who says so.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: list[str] = []
        self._rest = ""
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """Where it goes."""
        return self._descriptor

    def write(self, text: str) -> int:
        """Take text; what is a whole record by then is printed."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._lines.append(line)
            if line.strip() and not line.startswith(
                (" ", "Traceback", "Exception ignored", "During", "The above")
            ):
                self._record("\n".join(self._lines) + "\n")
                self._lines.clear()
        return len(text)

    def flush(self) -> None:
        """Nothing waits but what is no record yet."""

    def _record(self, record: str) -> None:
        now = time.monotonic()
        since, count = self._seen.pop(record, (now, 0))
        if count and now - since < FORGOTTEN_S:
            self._seen[record] = since, count + 1
            return
        if count > 1:
            record = f"{count - 1} times more until now: {record}"
        self._seen[record] = now, 1
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        with contextlib.suppress(OSError):
            os.write(self._descriptor, record.encode(errors="backslashreplace"))


def shorten(path: Path, largest_bytes: int = LARGEST_BYTES) -> None:
    """Leave of a log that has grown too long its newest part. Who appends to it goes on, and may lose a line."""
    with contextlib.suppress(OSError), path.open("r+b") as log:
        size = os.fstat(log.fileno()).st_size
        if size > largest_bytes:
            log.seek(size - KEPT_BYTES)
            newest = log.read().partition(b"\n")[2]
            log.truncate(0)
            log.seek(0)
            log.write(newest)
