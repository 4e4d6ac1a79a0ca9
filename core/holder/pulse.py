"""The daemon's pulse: through a pipe it lets the holder know that its event loop goes round, and what it is doing.

A line a beat, and more often while it starts; the words of a line are what it is at. The holder counts looks at the
pipe, not time, so that a host that stood still costs nobody anything.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable

from core.holder.ask import state_of
from core.patience import patient

BEAT_S = 2.0
LOOK_S = 5.0  # between looks of the holder's
MOST_SILENT = patient(6.0)  # looks at a daemon that serves: 30 s
MOST_SILENT_STARTING = 10 * MOST_SILENT  # one that starts may have a catalog to make again, all in one go
SERVING = "serving"
DUMP = signal.SIGUSR1  # lets the daemon write into its log where each of its threads stands
WEIGHTS = {"S": 1.0, "R": 0.25}
"""What a silent look counts for by the state of the daemon's main thread (proc(5)). One that sleeps waits for what may
never come; one that runs may be at something long, or kept from the processor; a stopped or traced one is silent
because somebody wants it so, and one in the disk's hands would not end sooner for being killed.
"""


class Pulse:
    """The daemon's end. Without a descriptor nobody listens: it was started by a holder that does not."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        if descriptor is not None:
            os.set_inheritable(descriptor, False)
            os.set_blocking(descriptor, False)

    def tell(self, what: str = "") -> None:
        """Beat once, and say what is being done if that is new."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # a holder that does not read: it may be stopped
                os.write(self._descriptor, f"{' '.join(what.split())[:200]}\n".encode())

    async def beat(self, each: Callable[[], None]) -> None:
        """Serve, beating until cancelled, and do `each` at every beat."""
        self.tell(SERVING)
        while True:
            await asyncio.sleep(BEAT_S)
            self.tell()
            each()


class Watched:
    """The holder's end: what a daemon told last, and for how many looks it has been silent."""

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid, self.pipe = pid, pipe
        self.told = ""
        self.beats = 0
        self.silent = 0.0
        self.served = False
        self._looked = 0

    def hear(self) -> bool:
        """Read what has come; False when nothing more will."""
        try:
            data = os.read(self.pipe, 65536)
        except BlockingIOError:
            return True
        lines = data.decode(errors="replace").split("\n")
        self.beats += len(lines) - 1
        self.told = next((line for line in reversed(lines) if line), self.told)
        self.served = self.served or self.told == SERVING
        return bool(data)

    def look(self) -> bool:
        """Once every LOOK_S: does it stand still?"""
        if self.beats != self._looked:
            self._looked, self.silent = self.beats, 0.0
        else:
            self.silent += WEIGHTS.get(state_of(self.pid), 0.0)
        return self.silent >= (MOST_SILENT if self.served else MOST_SILENT_STARTING)

    def close(self) -> None:
        """Listen no more."""
        os.close(self.pipe)
