"""Signals heeded by a thread of its own, whatever the main thread waits for.

The kernel gives a process's signal to any of its threads: to another than the main one where that has a signal waiting
already, such as a terminal's new size. Python's handlers then wait for the main thread's next step, and a main thread
that waits for a lock or a queue takes none. Source: Linux kernel/signal.c (complete_signal), Python's signal module.
"""

import os
import select
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

MOST_AT_ONCE = 64


@contextmanager
def heeded(numbers: Collection[int], heed: Callable[[signal.Signals], None]) -> Iterator[None]:
    """For the body, which the main thread runs, `heed` is called for each of these signals, in another thread."""
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    former = signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    saved = {number: signal.signal(number, _wait) for number in numbers}
    threading.Thread(target=_heed, args=(told, saved.keys(), heed), name="signals", daemon=True).start()
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(former)
        os.close(tell)


def heed_hang_up(terminal: int, heed: Callable[[], None]) -> None:
    """Call `heed`, in another thread, once a terminal is gone. Its session's leader is sent a SIGHUP then; whoever was
    started in a session of its own (setsid, a container's entry) is told nothing. Source: Linux drivers/tty/tty_io.c.
    """

    def wait() -> None:
        waiting = select.poll()
        waiting.register(terminal, 0)  # that it hung up is told unasked
        waiting.poll()
        heed()

    threading.Thread(target=wait, name="hang-up", daemon=True).start()


def _wait(number: int, frame: object) -> None:
    """Leave it to the thread: without a handler no signal is written down."""


def _heed(told: int, numbers: Collection[int], heed: Callable[[signal.Signals], None]) -> None:
    with os.fdopen(told, "rb", buffering=0) as pipe:
        while came := pipe.read(MOST_AT_ONCE):
            for number in came:
                if number in numbers:
                    heed(signal.Signals(number))
