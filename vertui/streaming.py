"""A command in a branch followed to its end, over as many connections as that takes.

When the daemon goes away it is started again and the command attached to from the last offsets: the output lies in
the guest and the input here until the guest has it, so nothing is lost and nothing comes twice.
"""

import math
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from core.daemon.endpoint import Endpoint
from core.daemon.start import revive
from core.daemon.streams import (
    STDERR,
    STDOUT,
    Dropped,
    Exit,
    Input,
    Notice,
    Output,
    Signalled,
    Started,
    Stream,
    attach,
    run,
)
from core.errors import DaemonUnavailable, GuestFailed
from core.model import ExecRequest, new_key

ATTEMPTS = 5  # connections in a row that come to nothing before following is given up
LASTED_S = 5.0  # so long a connection to a command that is silent was a good one
PAUSE_S = 0.2
MOST_CAPTURED = 64 << 20  # bytes: some hundred thousand names
NAMES = {STDOUT: "stdout", STDERR: "stderr"}

T = TypeVar("T")
Sink = Callable[[int, bytes], None]
Note = Callable[[str], None]


class AttachRequest(Struct, frozen=True):
    """A command to go on following, from these absolute offsets of its two streams."""

    branch: str
    command: int
    stdout_offset: int = 0
    stderr_offset: int = 0


@dataclass
class CompletedCommand:
    """How a command ended and all it printed."""

    code: int = 0
    timed_out: bool = False
    stdout: bytes = b""
    stderr: bytes = b""


@dataclass
class Follower:
    """Follow one command: output goes to `sink(stream, bytes)`, what a person should know to `note`.

    `follow` runs in one thread; the other methods may be called from another.
    """

    endpoint: Endpoint
    what: ExecRequest | AttachRequest
    sink: Sink
    note: Note
    command: int | None = None
    offsets: dict[int, int] = field(default_factory=lambda: {STDOUT: 0, STDERR: 0})
    stdin: Input = field(default_factory=Input)
    _stream: Stream | None = None
    _signals: dict[str, int] = field(default_factory=dict)  # by key: not known to have been done
    _size: tuple[int, int] | None = None
    _closed: bool = False
    _attached: float = math.inf

    @property
    def branch(self) -> str:
        """The branch the command runs in."""
        return self.what.branch

    def follow(self) -> Exit:
        """Until the command ends; DaemonUnavailable when the daemon stays away."""
        if isinstance(self.what, AttachRequest):
            self.command = self.what.command
            self.offsets = {STDOUT: self.what.stdout_offset, STDERR: self.what.stderr_offset}
        try:
            return self._persist(self._once)
        finally:
            self.stdin.shut()

    def start(self) -> int:
        """Start the command and leave it running: its id."""
        assert isinstance(self.what, ExecRequest)
        self.what = replace(self.what, outlives=True)
        self.command = self._persist(self._begin)
        return self.command

    def _persist(self, attempt: Callable[[bool], T]) -> T:
        """One connection after another, until one brings the outcome or several in a row bring nothing at all."""
        attempts, again = ATTEMPTS, False
        while True:
            before = self._progress()
            self._attached = math.inf
            try:
                return attempt(again)
            except DaemonUnavailable:
                lasted = time.monotonic() - self._attached > LASTED_S
                attempts = ATTEMPTS if lasted or self._progress() != before else attempts - 1
                if self._closed or not attempts:
                    raise
            again = True
            time.sleep(PAUSE_S)
            revive(self.endpoint, self.note)

    def _progress(self) -> tuple[int, ...]:
        """How far output and input have come."""
        return (*self.offsets.values(), self.stdin.position)

    def _begin(self, again: bool) -> int:
        with self._open(again) as stream:
            for message in stream:
                if isinstance(message, Started):
                    return message.id
        raise GuestFailed(f"the command in {self.branch} did not start")

    def resize(self, rows: int, columns: int) -> None:
        """Tell the command's terminal its size, and again on each connection to come."""
        self._size = rows, columns
        if self._stream:
            with suppress(DaemonUnavailable):
                self._stream.resize(rows, columns)

    def signal(self, number: int) -> None:
        """Send a signal to the command's group, once, whatever becomes of the daemon meanwhile."""
        key = new_key()
        self._signals[key] = number
        if self._stream:
            with suppress(DaemonUnavailable):
                self._stream.signal(number, key)

    def leave(self) -> bool:
        """Leave the command running; False when that is not sure, the daemon being away."""
        self._closed = True
        try:
            if self._stream is not None:
                self._stream.leave()
            return self._stream is not None
        except DaemonUnavailable:
            return False

    def close(self) -> None:
        """Follow no more, once what was sent is on its way."""
        self._closed = True
        if self._stream:
            self._stream.close()

    def _open(self, again: bool) -> Stream:
        asked = self.what if isinstance(self.what, ExecRequest) and not self.what.outlives else None
        if self.command is None:
            assert isinstance(self.what, ExecRequest)
            return run(self.endpoint, self.what, self.stdin, again=again)
        offsets = self.offsets[STDOUT], self.offsets[STDERR]
        return attach(
            self.endpoint, self.branch, self.command, *offsets,
            owner=asked is not None, stdin=self.stdin, asked=asked,
        )  # fmt: skip

    def _once(self, again: bool) -> Exit:
        """One connection's worth."""
        with self._open(again) as self._stream:
            if self._closed:  # by somebody who could not know of this connection
                raise DaemonUnavailable("nobody follows the command any more")
            if self._size:
                self._stream.resize(*self._size)
            for key, number in list(self._signals.items()):
                self._stream.signal(number, key)
            for message in self._stream:
                if isinstance(message, Exit):
                    return message
                try:
                    self._take(message)
                except BrokenPipeError:  # as in a local pipeline, the reader's end is the writer's
                    self.signal(signal.SIGPIPE)
                    raise
        raise DaemonUnavailable("the daemon went away")

    def _take(self, message: Output | Started | Dropped | Signalled | Notice) -> None:
        if isinstance(message, Started):
            self.command = message.id
            self._attached = time.monotonic()
        elif isinstance(message, Signalled):
            self._signals.pop(message.key, None)
        elif isinstance(message, Notice):
            self.note(message.text)
        elif isinstance(message, Dropped):
            self.note(f"{message.count} bytes of {NAMES[message.stream]} are lost: they were read too slowly")
        else:
            seen = self.offsets[message.stream]
            self.offsets[message.stream] = max(seen, message.offset + len(message.data))
            self.sink(message.stream, message.data[max(0, seen - message.offset) :])


def capture(endpoint: Endpoint, request: ExecRequest) -> CompletedCommand:
    """Run a command to its end and keep what it prints; GuestFailed when that is more than anybody asked for."""
    parts = {STDOUT: bytearray(), STDERR: bytearray()}

    def keep(stream: int, data: bytes) -> None:
        parts[stream] += data
        if len(parts[stream]) > MOST_CAPTURED:
            raise GuestFailed(f"{request.branch} prints without end")

    end = Follower(endpoint, request, keep, lambda _: None).follow()
    return CompletedCommand(end.code, end.timed_out, bytes(parts[STDOUT]), bytes(parts[STDERR]))
