"""Commands in the foreground: one thread each, while the main thread passes on what the terminal says.

Signals are passed on as `docker` does: the command ends by them or it does not, and its end is this process's.

A signal is an event in the main thread's inbox, as the end of a command is.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from queue import SimpleQueue

from core.daemon.streams import Exit
from vertui.heeding import heeded
from vertui.output import warn
from vertui.streaming import Follower
from vertui.terminal import raw, window_size

CHUNK_BYTES = 64 * 1024
DETACHED = 130
STDIN = 0
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
"""A second one of these leaves the command running: it does not end by the first."""

PASSED_ON = (*INTERRUPTS, signal.SIGUSR1, signal.SIGUSR2)

End = Exit | Exception
Event = signal.Signals | tuple[int, End]


def run(followers: Sequence[Follower], stdin: bool, tty: bool) -> list[End] | None:
    """Follow all to their ends, in order; None when the user leaves them by a second Ctrl-C: see `leave`."""
    inbox: SimpleQueue[Event] = SimpleQueue()
    with raw() if tty and stdin else nullcontext(), _signals(inbox, tty):
        for index, follower in enumerate(followers):
            _thread(_follow, index, follower, inbox)
        if stdin:
            _thread(_pump, followers, tty)
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
                for follower in others:
                    follower.close()
                raise event[1]
        elif event is signal.SIGWINCH:
            for follower in followers:
                follower.resize(*window_size())
        else:
            interrupts += event in INTERRUPTS
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


def _pump(followers: Sequence[Follower], tty: bool) -> None:
    """Standard input to every command, as it comes, until none takes more: then whoever writes to us is told so."""
    while data := _read():
        taking = [follower.stdin.write(data) for follower in followers]
        if not any(taking):
            if not tty:
                _close_stdin()
            return
    for follower in followers:
        follower.stdin.eof()


def _read() -> bytes:
    """What comes next on standard input; what cannot be read is at its end."""
    try:
        return os.read(STDIN, CHUNK_BYTES)
    except OSError as error:
        warn(f"standard input: {error.strerror}")
        return b""


def _close_stdin() -> None:
    """Read no more of it. Its number stays taken: no file opened later is to be mistaken for it."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, STDIN)
    os.close(null)


def _thread(target: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=target, args=arguments, daemon=True).start()


@contextmanager
def _signals(inbox: "SimpleQueue[Event]", tty: bool) -> Iterator[None]:
    """Ctrl-C, TERM and their like and, with a terminal, changes of its size, as events; not what is to be ignored."""

    wanted = [number for number in PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN]
    with heeded([*wanted, *([signal.SIGWINCH] if tty else [])], inbox.put):
        yield


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
