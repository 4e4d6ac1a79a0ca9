"""The UI as a process of its own, in a terminal that is read with the emulator: keys go in, screens come out, and the
processor time it takes is told.
"""

import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path

import psutil

from vertui.emulator.emulator import Emulator

CHILD = Path(__file__).with_name("shown.py")
SYNC_ASKED, SYNC_KNOWN = b"\x1b[?2026$p", b"\x1b[?2026;2$y"
FRAME_END = b"\x1b[?2026l"
DEADLINE_S = 60.0
NOTHING_S = 2.0  # after which a key has changed nothing
QUIET_S = 0.25  # longer than a cursor that rests is waited for, and than the news of one change come apart
CPU_CLOCK = 2  # CPUCLOCK_SCHED of Linux: a clock's low bits; above them stands the process, inverted


def spent_s(pid: int) -> float:
    """Processor time of a process so far, to the nanosecond."""
    return time.clock_gettime(~pid << 3 | CPU_CLOCK)


@dataclass(frozen=True)
class KeyCost:
    """What a key took until its frame was there: by the clock, of the processor, and of waiting for a core."""

    wall_ms: float
    spent_ms: float
    queued_ms: float


class Driven:
    """One UI. `imported` is when its modules were, by the clock and by its processor time, in seconds."""

    def __init__(self, pid: int, terminal: int, marks: int, size: tuple[int, int]) -> None:
        self.pid, self._terminal = pid, terminal
        self.emulator = Emulator(*size)
        self._frames, self._cut = 0, b""
        with os.fdopen(marks, "rb") as told:
            self.imported = tuple(int(part) / 1e9 for part in told.read().split())
        if len(self.imported) != 2:
            raise SystemExit("the UI did not start")

    # -- the screen ------------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(row.text for row in self.emulator.screen.rows)

    def until(self, good: Callable[[], bool]) -> None:
        """Read until the screen is good."""
        if not self._is_good_within(DEADLINE_S, good):
            raise SystemExit(f"this did not come in the UI:\n{self.text}")

    def until_seen(self, *words: str) -> None:
        """Read until these words are on the screen."""
        self.until(lambda: all(word in self.text for word in words))

    def until_quiet(self) -> None:
        """Read until nothing more is drawn."""
        while self._read(QUIET_S):
            pass

    def watch(self, seconds: float) -> None:
        """Read for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._read(left)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._terminal, keys.encode())

    # -- what it takes ---------------------------------------------------------------------------------------

    def answer(self, keys: str, good: Callable[[], bool] | None = None) -> KeyCost | None:
        """Type, and read up to the end of the next frame, or of the first that is good; None for a key that changes
        nothing.
        """
        frames, spent, queued, began = self._frames, spent_s(self.pid), self._queued_s, time.perf_counter()
        self.press(keys)
        if good is None and not self._is_good_within(NOTHING_S, lambda: self._frames > frames):
            return None
        self.until(lambda: self._frames > frames and (good is None or good()))
        wall = time.perf_counter() - began
        told = (wall, spent_s(self.pid) - spent, self._queued_s - queued)
        return KeyCost(*(each * 1000 for each in told))

    def cost_ms(self, act: Callable[[], object]) -> float:
        """Processor time of all that comes of something, until nothing more does."""
        self.until_quiet()
        spent = spent_s(self.pid)
        act()
        self.until_quiet()
        return (spent_s(self.pid) - spent) * 1000

    @property
    def resident_mb(self) -> float:
        """Memory in use."""
        return psutil.Process(self.pid).memory_info().rss / 1e6

    @property
    def most_resident_mb(self) -> float:
        """The most that was in use so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6

    @property
    def _queued_s(self) -> float:
        """How long its main thread, the loop's, has waited for a core so far."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[1]) / 1e9

    # -- the terminal ----------------------------------------------------------------------------------------

    def _is_good_within(self, seconds: float, good: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + seconds
        while not (is_good := good()) and time.monotonic() < deadline:
            self._read(0.2)
        return is_good

    def _read(self, seconds: float) -> bool:
        """What comes within so long; whether anything did."""
        if not select.select([self._terminal], [], [], max(seconds, 0.0))[0]:
            return False
        try:
            data = os.read(self._terminal, 1 << 16)
        except OSError as gone:
            raise SystemExit(f"the UI ended:\n{self.text}") from gone
        if SYNC_ASKED in data:
            os.write(self._terminal, SYNC_KNOWN)
        self.emulator.feed(data)
        told = self._cut + data
        self._frames += told.count(FRAME_END)
        self._cut = told[-len(FRAME_END) + 1 :] if not told.endswith(FRAME_END) else b""
        return True

    def end(self) -> None:
        """End it, however far it is."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._terminal)


@contextmanager
def driven(*words: str, size: tuple[int, int] = (50, 200)) -> Iterator[Driven]:
    """The UI with these arguments of `shown`, in a terminal of so many rows and columns."""
    marks, theirs = os.pipe()
    os.set_inheritable(theirs, True)
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.execv(sys.executable, [sys.executable, str(CHILD), str(theirs), *words])
        finally:
            os._exit(127)  # it could not be started: there must not be two of us
    os.close(theirs)
    found = Driven(pid, terminal, marks, size)
    try:
        yield found
    finally:
        found.end()
