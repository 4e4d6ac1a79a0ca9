"""Small edits into a branch that follows a directory, by a program that stays in it: to start one takes far longer than
to bring a file.
"""

import re
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue

from core.daemon.client import Client
from core.daemon.streams import STDOUT
from core.errors import GuestFailed, VertuiError
from core.guest.scripts import guest_script
from core.model import ExecRequest
from core.patience import patient
from vertui.streaming import Follower
from vertui.sync.batch import Batch, TooMuch
from vertui.sync.guest import rooted
from vertui.sync.hearing import Tally
from vertui.sync.tree import Edits
from vertui.transfer import Place

STALLED_S = patient(1.0)  # without an answer it is asked what the matter is
ANSWER = re.compile(rb"([0-9]{1,9}) ([0-9]{1,18}) ([0-9]{1,9})")
LONGEST_ANSWER = 64  # bytes

Answer = bytes | VertuiError | None  # a line, why there will be none, the program's end


class Receiver:
    """The program in one branch. `stalled` hears why a branch does not answer, as often as it is asked; it may raise
    that.

    An edit that is not answered is waited for: nobody else writes meanwhile.
    """

    def __init__(self, client: Client, place: Place, stalled: Callable[[VertuiError], None]) -> None:
        self._client, self._place, self._stalled = client, place, stalled
        self._follower: Follower | None = None
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        self._line = b""
        self._asked = self._answered = 0
        self._useless = False

    def start(self) -> None:
        """Have it run, unless it does, or is none that ever answers."""
        if self._follower is not None or self._useless:
            return
        words = guest_script("receive", rooted(self._place.path))
        request = ExecRequest(self._place.branch or "", words, stdin=True, lossless=True, inner=True)
        self._answers, self._line, self._asked, self._answered = SimpleQueue(), b"", 0, 0
        self._follower = Follower(self._client.endpoint, request, self._hear, lambda _: None)
        threading.Thread(target=self._follow, args=(self._follower, self._answers), daemon=True).start()

    def stop(self) -> None:
        """Let it end, once it has done what it was sent."""
        if self._follower is not None:
            self._follower.stdin.eof()
            self._follower = None

    def bring(self, directory: Path, edits: Edits) -> Tally | None:
        """Edits of a directory here into the branch's; None for what is not small, or where something is in the way.

        VertuiError when the branch cannot be reached, or what is here cannot be read.
        """
        try:
            batch = Batch(directory, edits.names, edits.removed)
        except TooMuch:
            return None
        self.start()
        if self._follower is None:
            return None
        self._asked += 1
        write = self._follower.stdin.write  # waits while a guest does not read
        threading.Thread(target=write, args=(batch.message(),), daemon=True).start()
        figures = ANSWER.fullmatch(self._answer())
        if figures is None:
            return None
        files, size_bytes, removed = map(int, figures.groups())
        return Tally(files, size_bytes, removed, tuple(batch.left_out))

    def _answer(self) -> bytes:
        """A line, none at all when the program has ended."""
        while True:
            try:
                answer = self._answers.get(timeout=STALLED_S)
                break
            except Empty:
                self._ask()
        if isinstance(answer, bytes):
            return answer
        self._follower = None
        if answer is not None:
            raise answer
        self._useless = not self._answered
        return b""

    def _ask(self) -> None:
        try:
            self._client.ps(self._place.branch or "")
        except VertuiError as error:
            self._stalled(error)

    def _follow(self, follower: Follower, answers: SimpleQueue[Answer]) -> None:
        try:
            follower.follow()
            answers.put(None)
        except VertuiError as error:
            answers.put(error)

    def _hear(self, stream: int, data: bytes) -> None:
        if stream != STDOUT:
            return
        *lines, self._line = (self._line + data).split(b"\n")
        self._answered += len(lines)
        if self._answered > self._asked or len(self._line) > LONGEST_ANSWER:
            raise GuestFailed(f"{self._place} says what is no answer: stopped")
        for line in lines:
            self._answers.put(line)
