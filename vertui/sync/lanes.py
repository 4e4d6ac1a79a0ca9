"""Branches that follow a directory, each in a lane of its own: one that is slow or paused holds no other up."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from core.errors import NotFound, Unsupported, VertuiError
from vertui.sync.hearing import Tally
from vertui.sync.once import Sync
from vertui.sync.tree import Edits, WatchedTree
from vertui.transfer import Place

RETRY_S = 2.0  # how soon a branch that could not follow is tried again
HOPELESS = (NotFound, Unsupported)  # no branch, or no rsync: trying again is of no use

Tell = Callable[[Place, Tally | VertuiError], None]


class Lane(threading.Thread):
    """Brings everything to one branch, then what changes. One that cannot follow gets everything once it can.

    `tell` hears of each run, and once of each reason why there is none. The lane ends with its branch. What is small is
    brought by a program that stays in the branch, all else by rsync.
    """

    def __init__(self, sync: Sync, directory: Path, place: Place, tell: Tell) -> None:
        super().__init__(daemon=True)
        self._sync, self._directory, self._place, self._tell = sync, directory, place, tell
        self._changed = threading.Condition()
        self._pending = Edits()
        self._everything = True
        self._stopped = False
        self._told = ""
        self._receiver = sync.receiver(place, self._stalls)
        self.failure: VertuiError | None = None

    def add(self, edits: Edits) -> None:
        """More to bring."""
        with self._changed:
            self._pending = self._pending.then(edits)
            self._changed.notify_all()

    def stop(self) -> None:
        """Bring no more than what is on its way."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def run(self) -> None:
        """Until it is stopped, or its branch is none any more."""
        while work := self._next():
            try:
                tally = self._bring(*work)
                self._told = ""
                self._tell(self._place, tally)
            except VertuiError as error:
                self._put_back(work[0])
                self._tell_why(error)
                if isinstance(error, HOPELESS):
                    self.failure = error
                    break
                with self._changed:
                    self._changed.wait_for(lambda: self._stopped, RETRY_S)
        self._receiver.stop()

    def _tell_why(self, error: VertuiError) -> None:
        if str(error) != self._told:
            self._told = str(error)
            self._tell(self._place, error)

    def _stalls(self, error: VertuiError) -> None:
        """A branch does not answer: that is waited for, unless all is to stop."""
        self._tell_why(error)
        if self._stopped:
            raise error

    def _next(self) -> tuple[Edits, bool] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._everything or self._stopped)
            work = self._pending, self._everything
            self._pending, self._everything = Edits(), False
            return None if self._stopped else work

    def _bring(self, edits: Edits, everything: bool) -> Tally:
        if not everything:
            small = self._receiver.bring(self._directory, edits)
            return small or self._sync.send(self._directory, self._place, edits.names, edits.removed)
        tally = self._sync.push(self._directory, self._place)
        self._receiver.start()
        if not edits.removed:
            return tally
        return tally.plus(self._sync.send(self._directory, self._place, (), edits.removed))

    def _put_back(self, edits: Edits) -> None:
        with self._changed:
            self._pending = edits.then(self._pending)
            self._everything = True


def follow(sync: Sync, directory: Path, places: Sequence[Place], tell: Tell) -> VertuiError | None:
    """Have branches follow a directory until none is left: why that is so."""
    watcher = WatchedTree(directory, sync.rules)
    lanes = [Lane(sync, directory, place, tell) for place in places]
    failures: list[VertuiError] = []

    def look() -> None:
        try:
            while True:
                edits = watcher.next()
                for lane in lanes:
                    lane.add(edits)
        except VertuiError as error:
            failures.append(error)
            for lane in lanes:
                lane.stop()

    for thread in (*lanes, threading.Thread(target=look, daemon=True)):
        thread.start()
    for lane in lanes:
        lane.join()
    return next((error for error in (*failures, *(lane.failure for lane in lanes)) if error), None)
