"""A started command: its streams, its end, and who follows it."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, TypedDict

from .cgroup import WorkGroup
from .loop import READ, Poller, Timer, Timers
from .ring import Ring
from .spawn import BadRequest, CannotRun, Exec, Program, Stdio, start
from .streams import Input, Stream, set_size

if TYPE_CHECKING:
    from .attachment import Attachment

TIMED_OUT = 124
LONGEST_S = 1e6

KEYS_KEPT = 64
"""Signals told of with a key that are known to be done: those said again are of the last connection."""

OUTPUT_GRACE_S = 0.1
"""How long a leader's end waits for output still in the pipe when somebody else holds the pipe open."""


class End(TypedDict):
    """How a command ended: as a shell has it, by a signal, too late; bytes of output in all."""

    code: int
    signal: int | None
    timed_out: bool
    lasted_ms: int
    bytes: list[int]


class Summary(TypedDict):
    """What `ps` says of a command."""

    id: int
    argv: list[str]
    pid: int
    user: str
    tty: bool
    started_ms: int
    end: End | None
    offsets: list[int]
    dropped: list[int]
    stdin_offset: int
    stdin_taken: int


class Command:
    """One command from its start until it is forgotten.

    `end` is set once the leader has ended and its output is in the rings; processes it left behind go on and their
    output is read on.
    """

    def __init__(self, number: int, request: Exec, work: WorkGroup, poller: Poller, timers: Timers) -> None:
        self.program = Program.from_request(request)
        timeout_s = float(request.get("timeout_s") or 0)
        if not 0 <= timeout_s <= LONGEST_S:  # nor is it, if it is no number
            raise BadRequest(f"a timeout is at most {LONGEST_S:.0f} seconds")
        self.number = number
        self.key = request.get("key")
        self.inner = request.get("inner") is True
        self.started = time.time()
        self._began = time.monotonic()  # which a restored machine's clock, set anew, does not touch
        self.end: End | None = None
        self.attachments: list[Attachment] = []
        self._lossless = bool(request.get("lossless"))
        self._timed_out = False
        self._done: deque[str] = deque(maxlen=KEYS_KEPT)
        self._status: int | None = None
        self._absent: list[Attachment] = []
        self._absence: Timer | None = None
        self._work = work
        self._poller = poller
        self._timers = timers
        self.streams = [
            Stream(poller, self._backlog, self._finish_if_read, self._finish_soon) for _ in range(2)
        ]
        self._group = work.create(f"command-{number}")
        try:
            self._start(request)
        except OSError:
            work.discard(self._group)
            raise
        self._timeout = timers.after(timeout_s, self._time_out) if timeout_s else None

    def _start(self, request: Exec) -> None:
        self._tty = bool(request.get("tty"))
        if self._tty:
            ours, theirs = _terminal(request)
        else:
            ours, theirs = _pipes(stdin=bool(request.get("stdin")))
        try:
            self.pid, self._pidfd = start(self.program, theirs, self._work, self._group)
            self._poller.watch(self._pidfd, READ, self._reap)
        except CannotRun as reason:
            os.write(theirs.stderr, reason.message)
            self.pid, self._status = 0, reason.code << 8
        except OSError:
            _close(ours)
            raise
        finally:
            _close(theirs[:3])
        self.stdin = Input(self._poller, ours[0], tty=self._tty)
        for stream, fd in zip(self.streams, ours[1:], strict=False):
            stream.follow(fd)

    def _backlog(self, stream: Stream) -> int:
        """Bytes a lossless command's slowest follower does not have; 0 when nothing need be kept."""
        if not self._lossless or not self.attachments:
            return 0
        index = self.streams.index(stream)
        return stream.ring.end - min(attachment.taken[index] for attachment in self.attachments)

    def _reap(self) -> None:
        self._timers.cancel(self._timeout)
        self._poller.forget(self._pidfd)
        os.close(self._pidfd)
        self._status = os.waitpid(self.pid, 0)[1]
        self._finish_if_read()
        self._finish_soon()

    def _finish_soon(self) -> None:
        """Wait no longer than this for output of who holds a pipe open that the leader has left."""
        if self._status is not None and self.end is None:
            self._timers.after(OUTPUT_GRACE_S, self._finish)

    def _finish_if_read(self) -> None:
        if self._status is not None and not any(stream.open for stream in self.streams):
            self._finish()

    def _finish(self) -> None:
        """Fix the end, unless followers of a lossless command hold its output up: a stream that resumes comes back."""
        if self.end is not None or self._status is None:
            return
        if any(stream.open and stream.stopped for stream in self.streams):
            return
        code = os.waitstatus_to_exitcode(self._status)
        self.end = {
            "code": TIMED_OUT if self._timed_out else code if code >= 0 else 128 - code,
            "signal": -code if code < 0 else None,
            "timed_out": self._timed_out,
            "lasted_ms": int((time.monotonic() - self._began) * 1000),
            "bytes": [stream.ring.end for stream in self.streams],
        }
        self.stdin.close()
        self._work.discard(self._group)

    def _time_out(self) -> None:
        if self._status is None:
            self._timed_out = True
            self._work.kill(self._group)

    def signal(self, number: int, key: str = "") -> None:
        """Signal the command's process group, once for a key; SIGKILL reaches whatever it started."""
        if key and key in self._done:
            return
        if key:
            self._done.append(key)
        if number == signal.SIGKILL:
            self._work.kill(self._group)
        elif self._status is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def follow(self, attachment: Attachment) -> None:
        """Let a client follow; if it is the owner, the one that was missed is back."""
        self.attachments.append(attachment)
        if attachment.owner_s:
            self.forget_absent()

    def miss(self, owner: Attachment) -> None:
        """The owner's line broke: keep its place, and hang up unless it is back in time."""
        self._absent.append(owner)
        self._timers.cancel(self._absence)
        self._absence = self._timers.after(owner.owner_s, self._give_up_on_owner)

    def forget_absent(self) -> None:
        """Nobody is missed: the owner is back, or in another machine since a fork."""
        self._timers.cancel(self._absence)
        absent, self._absent = self._absent, []
        for attachment in absent:
            attachment.leave()

    def _give_up_on_owner(self) -> None:
        self.forget_absent()
        self.hang_up()

    def hang_up(self) -> None:
        """What a terminal's end is to a command: its input ends, and it is told."""
        self.stdin.end()
        self.signal(signal.SIGHUP)

    def cancel(self) -> None:
        """Kill what a request that was given up has started; the request made again starts it anew."""
        self.key = None
        self._work.kill(self._group)

    def resize(self, rows: int, columns: int) -> None:
        """Tell a command on a terminal its new size."""
        if self._tty:
            self.stdin.resize(rows, columns)

    def release(self) -> None:
        """Close what is still open (who still writes gets SIGPIPE) and let go of the output."""
        for stream in self.streams:
            stream.close()
            stream.ring = Ring()
        self.stdin.close()

    @property
    def over(self) -> bool:
        """Nothing more can come of it, and nobody is following."""
        return (
            self.end is not None and not self.attachments and not any(stream.open for stream in self.streams)
        )

    @property
    def ring_bytes(self) -> int:
        """Memory its output occupies."""
        return sum(stream.ring.end - stream.ring.start for stream in self.streams)

    def summary(self) -> Summary:
        """What `ps` says of it."""
        return {
            "id": self.number,
            "argv": [word[:200] for word in self.program.argv[:16]],
            "pid": self.pid,
            "user": self.program.user.pw_name,
            "tty": self._tty,
            "started_ms": int(self.started * 1000),
            "end": self.end,
            "offsets": [stream.ring.end for stream in self.streams],
            "dropped": [stream.ring.start for stream in self.streams],
            "stdin_offset": self.stdin.received,
            "stdin_taken": self.stdin.written,
        }


def _close(fds: tuple[int, ...]) -> None:
    for fd in set(fds):
        if fd >= 0:
            os.close(fd)


def _pipes(*, stdin: bool) -> tuple[tuple[int, ...], Stdio]:
    """Our ends (stdin, or -1, stdout, stderr) and the child's."""
    with ExitStack() as opened:
        if stdin:
            child_in, our_in = _kept(opened, os.pipe())
        else:
            child_in, our_in = *_kept(opened, (os.open("/dev/null", os.O_RDONLY),)), -1
        our_out, child_out = _kept(opened, os.pipe())
        our_err, child_err = _kept(opened, os.pipe())
        opened.pop_all()
    return (our_in, our_out, our_err), Stdio(child_in, child_out, child_err)


def _terminal(request: Exec) -> tuple[tuple[int, ...], Stdio]:
    """Our ends (input and output of the terminal) and the child's, which are one."""
    with ExitStack() as opened:
        ours, theirs = _kept(opened, os.openpty())
        set_size(ours, int(request.get("rows") or 24), int(request.get("columns") or 80))
        found = (os.dup(ours), ours), Stdio(theirs, theirs, theirs, os.ttyname(theirs))
        opened.pop_all()
    return found


def _kept(opened: ExitStack, fds: tuple[int, ...]) -> tuple[int, ...]:
    """Descriptors that are closed again should the next not be had."""
    opened.callback(_close, fds)
    return fds
