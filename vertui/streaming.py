"""A command in a branch followed to its end, over as many connections as that takes.

When the daemon goes away it is started again and the command attached to from the last offsets: the output lies in
the guest, so nothing is lost and nothing comes twice.
"""

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from core.daemon.streams import STDERR, STDOUT, Dropped, Exit, Output, Started, Stream, attach, run
from core.errors import DaemonUnavailable, GuestFailed
from core.home import Home
from core.model import ExecRequest
from vertui.session import revive

ATTEMPTS = 5  # connections in a row that bring no byte before following is given up
PAUSE_S = 0.2
NAMES = {STDOUT: "stdout", STDERR: "stderr"}

Sink = Callable[[int, bytes], None]
Note = Callable[[str], None]


@dataclass(frozen=True)
class Attachment:
    """A command to go on following, from these absolute offsets of its two streams."""

    branch: str
    command: int
    stdout_offset: int = 0
    stderr_offset: int = 0


@dataclass
class Captured:
    """How a command ended and all it printed."""

    code: int = 0
    timed_out: bool = False
    stdout: bytes = b""
    stderr: bytes = b""


@dataclass
class Follower:
    """Follow one command: output goes to `sink(stream, bytes)`, what a person should know to `note`.

    `follow` runs in one thread; write, eof, resize and signal may be called from another.
    """

    home: Home
    what: ExecRequest | Attachment
    sink: Sink
    note: Note
    command: int | None = None
    offsets: dict[int, int] = field(default_factory=lambda: {STDOUT: 0, STDERR: 0})
    _stream: Stream | None = None
    _opened: threading.Event = field(default_factory=threading.Event)

    @property
    def branch(self) -> str:
        """The branch the command runs in."""
        return self.what.branch

    def follow(self) -> Exit:
        """Until the command ends; DaemonUnavailable when the daemon stays away or the command never started."""
        if isinstance(self.what, Attachment):
            self.command = self.what.command
            self.offsets = {STDOUT: self.what.stdout_offset, STDERR: self.what.stderr_offset}
        attempts = ATTEMPTS
        while True:
            before = dict(self.offsets)
            try:
                return self._once()
            except DaemonUnavailable:
                attempts = attempts - 1 if self.offsets == before else ATTEMPTS
                if self.command is None or not attempts:
                    raise
            time.sleep(PAUSE_S)
            revive(self.home)

    def start(self) -> int:
        """Start the command and leave it running: its id."""
        with self._open() as stream:
            for message in stream:
                if isinstance(message, Started):
                    return message.id
        raise GuestFailed(f"the command in {self.branch} did not start")

    def write(self, data: bytes) -> None:
        """Send stdin, once there is a connection; what cannot be sent while the daemon is away is noted."""
        self._opened.wait()
        self._tell(lambda stream: stream.write(data), "input was lost while the daemon was away")

    def eof(self) -> None:
        """Close stdin."""
        self._opened.wait()
        self._tell(lambda stream: stream.eof(), "the end of input was lost while the daemon was away")

    def resize(self, rows: int, columns: int) -> None:
        """Tell the command's terminal its size."""
        self._tell(lambda stream: stream.resize(rows, columns), "")

    def signal(self, number: int) -> None:
        """Send a signal to the command's group."""
        self._tell(lambda stream: stream.signal(number), f"signal {number} could not be sent")

    def close(self) -> None:
        """Leave the command running."""
        if self._stream:
            self._stream.close()

    def _open(self) -> Stream:
        if self.command is not None:
            return attach(self.home, self.branch, self.command, self.offsets[STDOUT], self.offsets[STDERR])
        assert isinstance(self.what, ExecRequest)
        return run(self.home, self.what)

    def _once(self) -> Exit:
        """One connection's worth."""
        with self._open() as self._stream:
            self._opened.set()
            for message in self._stream:
                if isinstance(message, Exit):
                    return message
                try:
                    self._take(message)
                except BrokenPipeError:  # as in a local pipeline, the reader's end is the writer's
                    self.signal(signal.SIGPIPE)
                    raise
        raise DaemonUnavailable("the daemon went away")

    def _take(self, message: Output | Started | Dropped) -> None:
        if isinstance(message, Started):
            self.command = message.id
        elif isinstance(message, Dropped):
            self.note(f"{message.count} bytes of {NAMES[message.stream]} are lost: they were read too slowly")
        else:
            seen = self.offsets[message.stream]
            self.offsets[message.stream] = max(seen, message.offset + len(message.data))
            self.sink(message.stream, message.data[max(0, seen - message.offset) :])

    def _tell(self, do: Callable[[Stream], None], loss: str) -> None:
        try:
            if self._stream:
                do(self._stream)
        except DaemonUnavailable:
            if loss:
                self.note(loss)


def capture(home: Home, request: ExecRequest) -> Captured:
    """Run a command to its end and keep what it prints."""
    parts: dict[int, list[bytes]] = {STDOUT: [], STDERR: []}
    follower = Follower(home, request, lambda stream, data: parts[stream].append(data), lambda _: None)
    end = follower.follow()
    return Captured(end.code, end.timed_out, b"".join(parts[STDOUT]), b"".join(parts[STDERR]))
