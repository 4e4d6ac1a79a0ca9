"""What happens in a home, told to whoever listens."""

import asyncio
import time
from enum import IntEnum

from core.model import Changed, Event
from core.progress import BuildProgress
from core.reach import Attempt

EVENTS_WAITING = 1000  # a client that reads nothing for this many events is dropped


class Interest(IntEnum):
    """What is looked at for a listener alone: of the engine's own tasks nothing, of others what has changed, or what
    machines take and do as well, for which guests are asked.
    """

    NONE = 0
    CHANGES = 1
    FIGURES = 2


class EventBus:
    """The events since the daemon's start, by number, and those who listen. Lives on the event loop."""

    def __init__(self) -> None:
        self._sequence = 0
        self._listeners: dict[asyncio.Queue[Event | None], Interest] = {}

    @property
    def sequence(self) -> int:
        """The number of the newest event."""
        return self._sequence

    @property
    def listened(self) -> bool:
        """Is there anybody to tell, outside the engine?"""
        return any(self._listeners.values())

    @property
    def watched(self) -> bool:
        """Does anybody look on while machines work?"""
        return Interest.FIGURES in self._listeners.values()

    def publish(
        self,
        kind: str,
        subject: str,
        text: str,
        fraction: float | None = 0.0,
        changed: Changed | None = None,
        progress: BuildProgress | None = None,
        refused: Attempt | None = None,
    ) -> None:
        """Tell every listener; one that does not read is dropped, not waited for."""
        self._sequence += 1
        event = Event(self._sequence, kind, subject, text, time.time(), fraction, changed, progress, refused)
        for queue in list(self._listeners):
            if queue.qsize() >= EVENTS_WAITING:
                self.unsubscribe(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)

    def subscribe(self, interest: Interest = Interest.FIGURES) -> asyncio.Queue[Event | None]:
        """A queue of events from now on; None ends it."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._listeners[queue] = interest
        return queue

    def unsubscribe(self, queue: asyncio.Queue[Event | None]) -> None:
        """Stop feeding a queue; idempotent."""
        self._listeners.pop(queue, None)

    def end(self) -> None:
        """Let every listener's stream end."""
        for queue in self._listeners:
            queue.put_nowait(None)
