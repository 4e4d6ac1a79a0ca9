"""The far side of a run of rsync, in a branch: by exec, without a loss, over as many connections as that takes."""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from core.daemon.endpoint import Endpoint
from core.daemon.streams import STDERR, Exit, Input
from core.errors import GuestFailed, NotFound, Unsupported
from core.model import ExecRequest
from core.names import spelled
from vertui.streaming import Follower
from vertui.transfer import Place

PIECE_BYTES = 64 * 1024
STDERR_BYTES = 4096  # of what the guest's shell says: its last line is shown
NO_RSYNC, NO_DIRECTORY, NOT_MADE = 97, 98, 99  # exit statuses that rsync does not have
ENTER = f"""
cd -- "$1" 2>/dev/null || exit {NO_DIRECTORY}
command -v rsync >/dev/null || exit {NO_RSYNC}
shift
exec "$@"
"""
MAKE = f'mkdir -p -- "$1" || exit {NOT_MADE}\n'
ENDED = 255  # the rsync here has left, and knows why


@dataclass
class GuestSide:
    """rsync in a directory of a branch, that is made where it `receives`. `moved` hears of the bytes that come and go.

    `most_bytes` may come from it; `said` is the last of what its shell and it complain of.
    """

    endpoint: Endpoint
    place: Place
    moved: Callable[[int], None]
    receives: bool = False
    most_bytes: int | None = None
    said: bytes = b""
    came: int = 0

    @property
    def name(self) -> str:
        """The branch's."""
        return self.place.branch or ""

    def serve(self, command: Sequence[str], incoming: int, outgoing: int) -> int:
        """Run it. NotFound without the directory, Unsupported without rsync; what the branch's refusal is."""
        script = (MAKE if self.receives else "") + ENTER
        words = ("sh", "-c", script, "sync", rooted(self.place.path), *command)
        request = ExecRequest(self.name, words, stdin=True, lossless=True, inner=True)
        follower = Follower(self.endpoint, request, partial(self._hear, outgoing), lambda _: None)
        feeder = threading.Thread(target=self._feed, args=(incoming, follower.stdin), daemon=True)
        feeder.start()
        try:
            return self._checked(follower.follow())
        except BrokenPipeError:
            return ENDED
        finally:
            follower.stdin.shut()
            os.close(outgoing)

    def _feed(self, incoming: int, stdin: Input) -> None:
        """Pass on what the rsync here says, until it or the guest's ends."""
        try:
            while data := os.read(incoming, PIECE_BYTES):
                self.moved(len(data))
                if not stdin.write(data):
                    return
            stdin.eof()
        finally:
            os.close(incoming)

    def _hear(self, outgoing: int, stream: int, data: bytes) -> None:
        """What the guest's rsync says is for ours."""
        if stream == STDERR:
            self.said = (self.said + data)[-STDERR_BYTES:]
            return
        self.came += len(data)
        self.moved(len(data))
        if self.most_bytes is not None and self.came > self.most_bytes:
            raise GuestFailed(f"{self.name} sends more than its disk and memory can hold: stopped")
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(outgoing, rest) :]

    def _checked(self, end: Exit) -> int:
        if end.code == NO_RSYNC:
            raise Unsupported(
                f"there is no rsync in {self.name}: its image is from before `sync`; build one anew"
                " (`vertui image build`), or install it there"
            )
        if end.code == NO_DIRECTORY:
            raise NotFound(f"there is no directory {self.place}")
        if end.code == NOT_MADE:
            lines = [line for line in self.said.split(b"\n") if line.strip()]
            raise GuestFailed(f"{self.place} cannot be made: {spelled((lines or [b'mkdir failed'])[-1])}")
        return end.code


def rooted(path: str) -> str:
    """A path that no program of the guest takes for an option, or for a word of its own."""
    return path if path.startswith("/") else f"./{path}"
