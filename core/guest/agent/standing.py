"""What keeps the agent running and answering while the guest does what it likes; its children get none of it."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .kernel import open_proc

_SPARED = b"-1000"  # never chosen when memory runs out
_ORDINARY = b"0"

_KEPT = {signal.SIGKILL, signal.SIGSTOP, signal.SIGALRM, signal.SIGCHLD, signal.SIGCONT, signal.SIGIO}
_KEPT |= {
    signal.SIGILL,
    signal.SIGTRAP,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGSEGV,
    signal.SIGSYS,
}
"""Signals that cannot be ignored, that tell of a fault of the agent itself, or that it has a use for."""

REQUEST_S = 30
"""A request that takes longer hangs in something of the guest's for good: the agent is then ended and started anew."""


class Standing:
    """The agent's own standing with the kernel: its score when memory runs out, its limit of open descriptors.

    The agent holds one for each group of the guest, of which there may be many.
    """

    def __init__(self) -> None:
        self._score = open_proc("self/oom_score_adj", os.O_WRONLY)
        self._descriptors, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most_descriptors = most
        self._set(_SPARED, most)

    @contextmanager
    def lowered(self) -> Iterator[None]:
        """Be an ordinary process for a moment: a child inherits score and limit. The scheduling class it does not."""
        self._set(_ORDINARY, self._descriptors)
        try:
            yield
        finally:
            self._set(_SPARED, self._most_descriptors)

    def _set(self, score: bytes, descriptors: int) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, self._most_descriptors))
        with suppress(OSError):  # not privileged to, in a test
            os.pwrite(self._score, score, 0)


@contextmanager
def first_in_line() -> Iterator[None]:
    """Go before all else in the guest, however much runs there, for as long as what arrived takes, and no longer."""
    _schedule(os.SCHED_RR, 1)
    try:
        yield
    finally:
        _schedule(os.SCHED_OTHER, 0)


def allow(seconds: float) -> None:
    """Give what is being done this much time from now; 0 for as much as it takes."""
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _schedule(policy: int, priority: int) -> None:
    with suppress(OSError):  # not privileged to, in a test
        os.sched_setscheduler(0, policy | os.SCHED_RESET_ON_FORK, os.sched_param(priority))


def outlast_signals() -> None:
    """Take no notice of what users send to each and all: by handlers that do nothing.

    Unlike SIG_IGN, which Python sets for some, exec resets handlers for the programs we start.
    """
    for number in signal.valid_signals() - _KEPT:
        with suppress(OSError, ValueError):
            signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
