"""The log files of a home, as whoever reads them sees one log: in the order of time, over every renaming."""

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

NAMES = ("holder.log", "daemon.log", "views.log", "swapper.log")
OLDER = ".1"  # what is put behind the name of a log that became too large
HEAD = re.compile(r"(?P<time>[0-9-]{10}T[0-9:.]{12}Z) (?P<level>[A-Z]+) [a-z]+: ")
QUIET = ("DEBUG", "INFO")
Line = TypeVar("Line", str, bytes)


def older(log: Path) -> Path:
    """What a log is renamed to."""
    return log.with_name(log.name + OLDER)


class LogFile:
    """One log from its oldest line on: each reading gives the lines that came since."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = _opened(older(path))
        self._rest = b""

    def read(self) -> list[bytes]:
        """The new lines, also those of a file that was renamed meanwhile."""
        data = self._rest + self._more()
        while (following := self._following()) is not None:
            data += self._more()
            self.close()
            self._descriptor = following
            data += self._more()
        *lines, self._rest = data.split(b"\n")
        return lines

    def close(self) -> None:
        """Read no more; idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _more(self) -> bytes:
        """What the file holds from here to its end; one that was cut short meanwhile is read from its end on."""
        if self._descriptor is None:
            return b""
        size = os.fstat(self._descriptor).st_size
        if os.lseek(self._descriptor, 0, os.SEEK_CUR) > size:
            os.lseek(self._descriptor, size, os.SEEK_SET)
        data = b""
        while piece := os.read(self._descriptor, 1 << 20):
            data += piece
        return data

    def _following(self) -> int | None:
        """The file that has the log's name now, unless it is the one that is read."""
        found = _opened(self._path)
        if found is None or self._descriptor is None:
            return found
        if os.path.samestat(os.fstat(found), os.fstat(self._descriptor)):
            os.close(found)
            return None
        return found


class Logs:
    """All logs in a directory, which need not be there yet."""

    def __init__(self, directory: Path) -> None:
        self._files = [LogFile(directory / name) for name in NAMES]

    def read(self, most: int | None = None) -> list[str]:
        """The lines that came since the last reading, all or the `most` newest."""
        lines = in_order(_newest(file.read(), most) for file in self._files)
        return _newest(lines, most)

    def close(self) -> None:
        """Read no more."""
        for file in self._files:
            file.close()


def in_order(logs: Iterable[list[bytes]]) -> list[str]:
    """The lines of several logs in one list: records by their time, each with the lines that belong to it."""
    timed: list[tuple[str, str]] = []
    for lines in logs:
        when = ""
        for each in lines:
            text = each.decode(errors="backslashreplace")
            if head := HEAD.match(text):
                when = head["time"]
            timed.append((when, text))
    return [text for _, text in sorted(timed, key=lambda one: one[0])]


def last_reason(lines: Iterable[str]) -> str:
    """The last of some lines that says what is wrong, without its head; "" when none does."""
    reason = ""
    for each in lines:
        head = HEAD.match(each)
        if each.strip() and not (head and head["level"] in QUIET):
            reason = HEAD.sub("", each).strip()
    return reason


def _newest(lines: list[Line], most: int | None) -> list[Line]:
    return lines if most is None else lines[max(0, len(lines) - most) :]


def _opened(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return None
