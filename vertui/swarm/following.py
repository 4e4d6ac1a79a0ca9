"""The tree as the daemon tells of it, for who waits until something in it has changed."""

import queue
import threading
import time

from core.daemon.client import Client, EventStream
from core.daemon.mirror import Mirror
from core.daemon.start import rejoin
from core.errors import DaemonStopped, DaemonUnavailable, VertuiError
from core.model import Event, Tree

WAKE = "wake"
AGAIN_S = 0.2  # before another connection, after one was lost


class TreeFollower:
    """Follows from the first time it is asked until `close`, over as many connections as that takes. DaemonStopped once
    somebody has ended the daemon.
    """

    def __init__(self, client: Client) -> None:
        self._client, self._mirror = client, Mirror(client.tree)
        self._told: queue.SimpleQueue[Event | VertuiError | str | None] = queue.SimpleQueue()
        self._stream: EventStream | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._listen, name="swarm", daemon=True)
        self._thread.start()

    def tree(self, wait_s: float | None = None) -> Tree:
        """As it is once something changed, or after so long; None waits for a change as long as it takes."""
        deadline = None if wait_s is None else time.monotonic() + wait_s
        changed = False
        while not changed or not self._told.empty():
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                changed = self._take(self._told.get(timeout=left)) or changed
            except queue.Empty:
                break
        return self._mirror.tree

    def wake(self) -> None:
        """Have who waits look at the tree as it is; who does not wait yet will not wait."""
        self._told.put(WAKE)

    def close(self) -> None:
        """Follow no more."""
        self._closed = True
        if self._stream is not None:
            self._stream.close()

    def _take(self, told: Event | VertuiError | str | None) -> bool:
        """Whether the tree is another one, or to be looked at."""
        if isinstance(told, VertuiError):
            raise told
        if isinstance(told, str):
            return True
        if told is None:
            self._mirror.forget()
            return True
        return self._mirror.take(told)

    def _listen(self) -> None:
        while not self._closed:
            try:
                self._stream = self._client.events(figures=False)  # a try's guest has its work to do
                self._told.put(None)
                for event in self._stream:
                    self._told.put(event)
            except DaemonUnavailable as error:
                if not self._returns(error):
                    return
            except VertuiError as error:
                self._told.put(error)
                return

    def _returns(self, error: DaemonUnavailable) -> bool:
        """Wait for the next daemon; False when none comes."""
        try:
            if isinstance(error, DaemonStopped):
                raise error
            time.sleep(AGAIN_S)
            rejoin(self._client.endpoint)
        except VertuiError as gone:
            self._told.put(gone)
            return False
        return True
