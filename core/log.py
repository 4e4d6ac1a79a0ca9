"""How the processes of a home log: a record a line, bounded on disk, and whoever logs never fails or waits by it.

    2026-11-29T06:37:24.123Z INFO daemon: POST /v1/fork 200 in 61.2 ms [5b3e9d0c]

The last word is the id of the request that the record belongs to, if there is one. A traceback follows its record,
indented. A file that is full is renamed to `NAME.1`, in place of the one before; `core.log_files` reads them.
"""

import contextlib
import fcntl
import logging
import os
import stat
import sys
import threading
import time
from collections import OrderedDict
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from core.log_files import OLDER, older

LARGEST_BYTES = 4 << 20  # of a log, before it is renamed, or before its older part goes
KEPT_BYTES = 1 << 20  # of one that cannot be renamed, the newest
REMEMBERED = 256  # warnings and errors, each of which is not logged again …
FORGOTTEN_S = 600.0  # … for so long
LEVELS = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)
OUTPUTS = (2, 1)  # descriptors: a process of a home has its log as both
REQUEST: ContextVar[str] = ContextVar("REQUEST", default="")
"""The id of the request that is worked on."""

ours = logging.getLogger("core")


def log_as(process: str) -> None:
    """Have this process log on its descriptor 2: our records, what Python warns of, and errors that nobody catches."""
    logging.basicConfig(handlers=[Log(process)], force=True)
    ours.setLevel(logging.INFO)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda end: _uncaught(end.exc_type, end.exc_value, end.exc_traceback)
    sys.unraisablehook = lambda end: _uncaught(end.exc_type, end.exc_value, end.exc_traceback)


def line(level: str, process: str, text: str) -> str:
    """A record as it stands in a log; none of its text is control, whoever wrote it."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    return f"{now}Z {level} {process}: {_plain(text)}\n"


class Log(logging.Handler):
    """Descriptor 2 of this process. What repeats is logged once, with its count when it is logged again."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process
        self._path = _named()
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, if the disk takes it."""
        try:
            text, trace = record.getMessage(), self._trace(record)
            if (again := self._again(record, text + trace)) is None:
                return
            request = f" [{REQUEST.get()}]" if REQUEST.get() else ""
            data = (line(record.levelname, self._process, again + text + request) + trace).encode()
            with contextlib.suppress(OSError):
                self._make_room(len(data))
            with contextlib.suppress(OSError):
                os.write(2, data)
        except Exception:
            self.handleError(record)

    def _trace(self, record: logging.LogRecord) -> str:
        if not record.exc_info:
            return ""
        lines = logging.Formatter().formatException(record.exc_info).split("\n")
        return "".join(f"    {_plain(each)}\n" for each in lines)

    def _again(self, record: logging.LogRecord, said: str) -> str | None:
        """What is to be said of earlier ones of this record; None when it is not to be logged now."""
        if record.levelno < logging.WARNING:
            return ""
        now = time.monotonic()
        since, count = self._seen.pop(said, (now, 0))
        if count and now - since < FORGOTTEN_S:
            self._seen[said] = since, count + 1
            return None
        self._seen[said] = now, 1
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return f"{count - 1} times more until now: " if count > 1 else ""

    def _make_room(self, size_bytes: int) -> None:
        """Go on in a new file when this one would be too large, or was renamed by another process that has it."""
        if self._path is None:
            return
        mine = os.fstat(2)
        if mine.st_size + size_bytes > LARGEST_BYTES:
            _rename(self._path, mine)
        if _is(self._path, mine):
            return
        new = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            for number in OUTPUTS:
                if os.path.samestat(os.fstat(number), mine):
                    os.dup2(new, number)
        finally:
            os.close(new)


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


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    ours.critical("%s", kind.__name__, exc_info=(kind, error or kind(), trace))


def _rename(path: Path, mine: os.stat_result) -> None:
    """Give descriptor 2, which is this file, the name of an older log; not if another process did, or is at it."""
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(2, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            if _is(path, mine):
                path.replace(older(path))
        finally:
            fcntl.flock(2, fcntl.LOCK_UN)


def _named() -> Path | None:
    """The name of the file that descriptor 2 is; None when it is something else, or has no name."""
    with contextlib.suppress(OSError):
        path, facts = Path("/proc/self/fd/2").readlink(), os.fstat(2)
        if stat.S_ISREG(facts.st_mode) and _is(path, facts):
            return path.with_name(path.name.removesuffix(OLDER))
    return None


def _is(path: Path, facts: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), facts)
    except FileNotFoundError:
        return False


def _plain(text: str) -> str:
    """Text on one line, with an escape for what is not printed: it may come from a guest."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
