"""The far side of a run, in a branch: by exec, without a loss, over as many connections as that takes."""

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
EMPTY, NO_RSYNC, NO_DIRECTORY, NOT_MADE = 96, 97, 98, 99  # exit statuses that rsync does not have
ENTER = f"""
cd -- "$1" 2>/dev/null || exit {NO_DIRECTORY}
command -v rsync >/dev/null || exit {NO_RSYNC}
"""
# By the shell alone, which takes no time; a pattern that fits nothing stays as it is.
UNLESS_EMPTY = f"""
f=; for e in * .[!.]* ..?*; do if [ -e "$e" ] || [ -L "$e" ]; then f=1; break; fi; done
[ "$f" ] || exit {EMPTY}
"""
START = 'shift\nexec "$@"\n'
MAKE = f'[ -d "$1" ] || mkdir -p -- "$1" || exit {NOT_MADE}\n'
ENDED = 255  # the rsync here has left, and knows why


class NothingThere(Exception):
    """The directory in the branch is empty: what is to be brought there need not be compared."""


@dataclass
class GuestSide:
    """A program in a directory of a branch, that is made where it `receives`. `moved` hears of the bytes that come and
    go, `unless_empty` an empty directory is NothingThere.

    `most_bytes` may come from it; `said` is the last of what its shell and it complain of.
    """

    endpoint: Endpoint
    place: Place
    moved: Callable[[int], None]
    receives: bool = False
    unless_empty: bool = False
    most_bytes: int | None = None
    said: bytes = b""
    came: int = 0

    @property
    def name(self) -> str:
        """The branch's."""
        return self.place.branch or ""

    def serve(self, command: Sequence[str], incoming: int, outgoing: int) -> int:
        """Run rsync, of which ours reads and writes the other ends."""
        try:
            return self.run(command, partial(self._feed, incoming), partial(_pass_on, outgoing))
        except BrokenPipeError:
            return ENDED
        finally:
            os.close(outgoing)

    def run(
        self, command: Sequence[str], feed: Callable[[Input], None], hear: Callable[[bytes], None]
    ) -> int:
        """Run a command, its input from `feed` in a thread of its own; its exit status.

        NotFound without the directory, Unsupported without rsync, NothingThere; what the branch's refusal is.
        """
        begins = (MAKE if self.receives else "") + ENTER + (UNLESS_EMPTY if self.unless_empty else "")
        words = ("sh", "-c", begins + START, "sync", rooted(self.place.path), *command)
        request = ExecRequest(self.name, words, stdin=True, lossless=True, inner=True)
        follower = Follower(self.endpoint, request, partial(self._hear, hear), lambda _: None)
        threading.Thread(target=feed, args=(follower.stdin,), daemon=True).start()
        try:
            return self._checked(follower.follow())
        finally:
            follower.stdin.shut()

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

    def _hear(self, hear: Callable[[bytes], None], stream: int, data: bytes) -> None:
        """What it says, up to a bound."""
        if stream == STDERR:
            self.said = (self.said + data)[-STDERR_BYTES:]
            return
        self.came += len(data)
        self.moved(len(data))
        if self.most_bytes is not None and self.came > self.most_bytes:
            raise GuestFailed(f"{self.name} sends more than its disk and memory can hold: stopped")
        hear(data)

    def _checked(self, end: Exit) -> int:
        if end.code == EMPTY and self.unless_empty:
            raise NothingThere
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


def _pass_on(outgoing: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(outgoing, rest) :]


def rooted(path: str) -> str:
    """A path that no program of the guest takes for an option, or for a word of its own."""
    return path if path.startswith("/") else f"./{path}"
