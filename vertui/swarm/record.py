"""What came of a swarm so far: a file of the home, to which a line is added with each step, and is on disk before the
next step begins. A line that a crash left unfinished is as one that was never written.
"""

import fcntl
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2s
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from core.codec import decode, encode
from core.errors import Conflict, DaemonUnavailable, Damaged, NotFound, UsageError, VertuiError
from core.files import file_bytes, listed, os_files, read_error
from core.home import Home
from core.model import check_name, new_key
from vertui.swarm.results import SwarmOutcome
from vertui.swarm.spec import SwarmSpec

ENDING = ".jsonl"
VERSION = 1
LONGEST_NAME = 20  # a try's name has round, parent and number behind it, of 31 letters in all
T = TypeVar("T")


class SwarmBegun(Struct, frozen=True, tag="begun", tag_field="kind"):
    """The first line. `id` is in the request ids of all its steps."""

    name: str
    id: str
    spec: SwarmSpec
    time: float
    version: int = VERSION


class SwarmStep(Struct, frozen=True, tag="step", tag_field="kind"):
    """A step that was taken, and its answer."""

    step: str
    answer: Any
    time: float


class SwarmRefused(Struct, frozen=True, tag="refused", tag_field="kind"):
    """A step was refused, and nothing of it happened. Its next attempt has another request id."""

    step: str
    error: str
    time: float


class SwarmEnded(Struct, frozen=True, tag="ended", tag_field="kind"):
    """It is over. Of several such lines the last one counts: the winner may be promoted later."""

    outcome: SwarmOutcome
    time: float


SwarmLine = SwarmBegun | SwarmStep | SwarmRefused | SwarmEnded


class SwarmRecord:
    """A swarm's record as it was read, and what is added to it. Threads may share it."""

    def __init__(self, path: Path, lines: list[SwarmLine]) -> None:
        first = lines[0] if lines else None
        if not isinstance(first, SwarmBegun):
            raise Damaged(f"{path.name} does not say what swarm it is of: `rm {path}`, and run it again")
        self.path, self.begun = path, first
        self.steps = {line.step: line for line in lines if isinstance(line, SwarmStep)}
        self._refused = Counter(line.step for line in lines if isinstance(line, SwarmRefused))
        self.ended = next((line for line in reversed(lines) if isinstance(line, SwarmEnded)), None)
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The swarm's."""
        return self.begun.name

    @property
    def spec(self) -> SwarmSpec:
        """What it tries."""
        return self.begun.spec

    def key(self, step: str) -> str:
        """The request id of a step, another one after it was refused."""
        attempt = self._refused[step]
        return blake2s(f"{self.begun.id}\0{step}\0{attempt}".encode(), digest_size=16).hexdigest()

    def answer(self, step: str, cls: type[T]) -> T | None:
        """A step's answer; None of one that is still to be taken. Damaged when it is of another shape."""
        if (found := self.steps.get(step)) is None:
            return None
        try:
            return decode(cls, found.answer)
        except ValueError as error:
            raise Damaged(
                f"{self.path.name}, step '{step}' is not what was written, or by a newer vertui: {error}"
            ) from error

    def add(self, step: str, answer: object) -> None:
        """A step was taken."""
        self._write(made := SwarmStep(step, encode(answer), time.time()))
        self.steps[step] = made

    def refuse(self, step: str, error: str) -> None:
        """A step was refused: it may be tried anew."""
        self._write(SwarmRefused(step, error, time.time()))
        self._refused[step] += 1

    def end(self, outcome: SwarmOutcome) -> None:
        """It is over."""
        self._write(made := SwarmEnded(outcome, time.time()))
        self.ended = made

    def _write(self, line: SwarmLine) -> None:
        with self._lock:
            _append(self.path, line)


@contextmanager
def begin(home: Home, name: str, spec: SwarmSpec) -> Iterator[SwarmRecord]:
    """A new record, which is this process's until the block ends. Conflict where there is one of that name. Of a swarm
    that was refused before its first step nothing is left.
    """
    path = path_of(home, name)
    if len(name) > LONGEST_NAME:
        raise UsageError(
            f"'{name}' is too long for a swarm, by which tries are named: {LONGEST_NAME} letters at most"
        )
    os_files.mkdir(home.swarms)
    with _own(path, name):
        if b"\n" in _read(path):
            raise Conflict(f"there is a swarm {name} already: `vertui swarm show {name}`, or --name another")
        os_files.cut(path, 0)
        begun = SwarmBegun(name, new_key(), spec, time.time())
        _append(path, begun)
        os_files.fsync(path.parent)
        made = SwarmRecord(path, [begun])
        try:
            yield made
        except DaemonUnavailable:  # something may have happened
            raise
        except VertuiError:
            if not made.steps:
                os_files.unlink(path)
            raise


@contextmanager
def go_on(home: Home, name: str) -> Iterator[SwarmRecord]:
    """A record that is there, which is this process's until the block ends. Conflict while it is another's."""
    path = path_of(home, name)
    if not path.exists():
        raise NotFound(f"there is no swarm {name}: `vertui swarm ls` lists them")
    with _own(path, name):
        data = _read(path)
        if torn := len(data) - (data.rfind(b"\n") + 1):
            os_files.cut(path, len(data) - torn)
        yield SwarmRecord(path, _lines(path, data))


def look(home: Home, name: str) -> SwarmRecord:
    """A record to be looked at only."""
    path = path_of(home, name)
    if not path.exists():
        raise NotFound(f"there is no swarm {name}: `vertui swarm ls` lists them")
    return SwarmRecord(path, _lines(path, _read(path)))


def swarms(home: Home) -> list[str]:
    """The names of all that there are a record of."""
    return [path.name.removesuffix(ENDING) for path in listed(home.swarms, f"*{ENDING}") if file_bytes(path)]


def begun(home: Home, name: str) -> bool:
    """Is there a record of that name?"""
    path = path_of(home, name)
    return path.exists() and b"\n" in _read(path)


def is_at_work(home: Home, name: str) -> bool:
    """Does a process play it?"""
    try:
        with _own(path_of(home, name), name):
            return False
    except Conflict:
        return True


def path_of(home: Home, name: str) -> Path:
    """Where a swarm's record is. UsageError for what is no name."""
    check_name(name)
    return home.swarms / f"{name}{ENDING}"


@contextmanager
def _own(path: Path, name: str) -> Iterator[None]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise read_error(error, path.name) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise Conflict(f"another process is at work at the swarm {name}") from error
    finally:
        os.close(descriptor)


def _append(path: Path, line: SwarmLine) -> None:
    os_files.append(path, json.dumps(encode(line)).encode() + b"\n")
    os_files.fsync(path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise read_error(error, path.name) from error


def _lines(path: Path, data: bytes) -> list[SwarmLine]:
    """All whole lines. Damaged names the one that cannot be read."""
    lines: list[SwarmLine] = []
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            lines.append(decode(SwarmLine, json.loads(line)))  # type: ignore[arg-type]
        except (ValueError, RecursionError) as error:
            raise Damaged(
                f"{path.name}, line {number} is not what was written, or by a newer vertui: {error}"
            ) from error
    return lines
