"""What rsync says: its figures, what it left out, and what went wrong. On the far side it may say anything."""

import errno
import re
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from core.errors import GuestFailed, NoRoom, VertuiError
from core.names import spelled

KEPT_BYTES = 64 * 1024  # of the errors, and of a line: those of a guest may be without end
MOST_LEFT_OUT = 1000  # names that are kept
LONGEST_REASON = 300  # characters
FIGURES = re.compile(
    rb"Number of regular files transferred: (?P<files>[0-9]{1,15})|Number of deleted files: (?P<removed>[0-9]{1,15}).*"
    rb"|Total transferred file size: (?P<size_bytes>[0-9]{1,18}) bytes"
)
LEFT_OUT = re.compile(rb'(?:skipping non-regular file|ignoring unsafe symlink) "(.*?)"(?: -> ".*")?')
CONSEQUENCES = (b"rsync error: ", b"rsync warning: ", b"Broken pipe", b"connection unexpectedly closed")
"""In lines that only say that the other side has failed, or that this one has."""

WHERE = re.compile(rb"^(?:rsync: )?(?:\[([a-zA-Z]+)\] )?")
NUMBER = re.compile(rb" \(([0-9]{1,3})\)$")


@dataclass(frozen=True)
class Tally:
    """What a run did. `left_out` are names of devices and of links that would lead out."""

    files: int = 0
    size_bytes: int = 0
    removed: int = 0
    left_out: tuple[bytes, ...] = ()

    def plus(self, other: "Tally") -> "Tally":
        """Both together; what each of them left out is the same."""
        return Tally(
            self.files + other.files,
            self.size_bytes + other.size_bytes,
            self.removed + other.removed,
            tuple(dict.fromkeys((*self.left_out, *other.left_out))),
        )


class Hearing:
    """Reads what a process prints until its end: of its output what it did, of its errors the first."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._figures: dict[str, int] = {}
        self._left_out: list[bytes] = []
        self._errors = bytearray()
        assert process.stdout and process.stderr
        self._readers = [_reader(process.stdout, self._heard), _reader(process.stderr, self._failed)]

    def _heard(self, line: bytes) -> None:
        if figure := FIGURES.fullmatch(line):
            self._figures |= {name: int(value) for name, value in figure.groupdict().items() if value}
        elif (name := LEFT_OUT.fullmatch(line)) and len(self._left_out) < MOST_LEFT_OUT:
            self._left_out.append(name[1])

    def _failed(self, line: bytes) -> None:
        self._errors += (line + b"\n")[: KEPT_BYTES - len(self._errors)]

    def tally(self) -> Tally:
        """Of a run that came to its end."""
        self._finish()
        return Tally(**self._figures, left_out=tuple(self._left_out))

    def failure(self, guest: str, far: bytes, *, incoming: bool) -> VertuiError:
        """Of one that did not: what went wrong first, and on which side. `far` are the errors of the far side's."""
        self._finish()
        lines = [(True, line) for line in _lines(far)] + [
            (False, line) for line in _lines(bytes(self._errors))
        ]
        at_fault = [(there, line) for there, line in lines if not any(text in line for text in CONSEQUENCES)]
        there, line = (at_fault or lines or [(False, b"it ended early")])[0]
        where, number = WHERE.match(line), NUMBER.search(line)
        reason = spelled(line[where.end() if where else 0 :])[:LONGEST_REASON]
        if there or (where and where[1] and (where[1].lower() == b"sender") == incoming):
            return GuestFailed(f"rsync in {guest}: {reason}")
        full = number and int(number[1]) in (errno.ENOSPC, errno.EDQUOT)
        return (NoRoom if full else VertuiError)(f"rsync: {reason}")

    def _finish(self) -> None:
        for reader in self._readers:
            reader.join()


def _lines(text: bytes) -> list[bytes]:
    return [line for line in text.split(b"\n") if line.strip()]


def _reader(source: IO[bytes], take: Callable[[bytes], None]) -> threading.Thread:
    def read() -> None:
        with source:
            while line := source.readline(KEPT_BYTES):
                take(line.removesuffix(b"\n"))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread
