"""Commands in the foreground: one thread each, while the main thread passes on what the terminal says.

Only the main thread receives signals, and it holds no lock while it waits: handlers just put an event in its inbox.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from queue import SimpleQueue
from types import FrameType

from core.daemon.streams import Exit
from vertui.output import warn
from vertui.streaming import Follower
from vertui.terminal import raw, window_size

CHUNK_BYTES = 64 * 1024
DETACHED = 130

End = Exit | Exception
Event = signal.Signals | tuple[int, End]


def run(followers: Sequence[Follower], stdin: bool, tty: bool) -> list[End] | None:
    """Follow all to their ends, in order; None when the user left them running by a second Ctrl-C."""
    inbox: SimpleQueue[Event] = SimpleQueue()
    with raw() if tty and stdin else nullcontext(), _signals(inbox, tty):
        for index, follower in enumerate(followers):
            _thread(_follow, index, follower, inbox)
        if stdin:
            _thread(_pump, followers)
        return _wait(followers, inbox)


def _wait(followers: Sequence[Follower], inbox: "SimpleQueue[Event]") -> list[End] | None:
    ends: dict[int, End] = {}
    interrupts = 0
    while len(ends) < len(followers):
        event = inbox.get()
        if isinstance(event, tuple):
            ends[event[0]] = event[1]
            if isinstance(event[1], BrokenPipeError):
                others = [follower for index, follower in enumerate(followers) if index not in ends]
                _signal_all(others, signal.SIGPIPE)
                raise event[1]
        elif event is signal.SIGWINCH:
            for follower in followers:
                follower.resize(*window_size())
        else:
            interrupts += 1
            if interrupts > 1:
                return None
            _signal_all(followers, event)
    return [ends[index] for index in range(len(followers))]


def _signal_all(followers: Sequence[Follower], number: signal.Signals) -> None:
    for follower in followers:
        follower.signal(int(number))


def _follow(index: int, follower: Follower, inbox: "SimpleQueue[Event]") -> None:
    try:
        inbox.put((index, follower.follow()))
    except Exception as error:  # the main thread raises it: a thread cannot
        inbox.put((index, error))


def _pump(followers: Sequence[Follower]) -> None:
    """Standard input to every command, as it comes."""
    while data := os.read(sys.stdin.fileno(), CHUNK_BYTES):
        for follower in followers:
            follower.write(data)
    for follower in followers:
        follower.eof()


def _thread(target: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=target, args=arguments, daemon=True).start()


@contextmanager
def _signals(inbox: "SimpleQueue[Event]", tty: bool) -> Iterator[None]:
    """Ctrl-C, TERM and, with a terminal, changes of its size, as events."""

    def handler(number: int, frame: FrameType | None) -> None:
        inbox.put(signal.Signals(number))

    wanted = [signal.SIGINT, signal.SIGTERM] + ([signal.SIGWINCH] if tty else [])
    saved = {number: signal.signal(number, handler) for number in wanted}
    try:
        yield
    finally:
        for number, old in saved.items():
            signal.signal(number, old)


def status(followers: Sequence[Follower], ends: list[End]) -> int:
    """The exit status of all: the first that is not 0. Errors of several branches are said, a single one is raised."""
    result = 0
    for follower, end in zip(followers, ends, strict=True):
        if isinstance(end, Exception):
            if len(followers) == 1:
                raise end
            warn(f"{follower.branch}: {end}")
            code = int(getattr(end, "exit_status", 1))
        else:
            code = end.code
            _say_end(follower, end, len(followers) > 1)
        result = result or code
    return result


def _say_end(follower: Follower, end: Exit, several: bool) -> None:
    if end.timed_out:
        warn(f"{follower.branch}: timed out")
    elif end.code and several:
        warn(f"{follower.branch}: exit status {end.code}")
