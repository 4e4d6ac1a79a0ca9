"""Programs of this machine in a terminal that the emulator shows, with keys as the terminal's pane sends them."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.ui.looks import PATIENCE_S
from vertui.emulator import pen as pens
from vertui.emulator.emulator import Emulator
from vertui.emulator.keys import key

ATTRIBUTES = {
    "bold": pens.BOLD, "dim": pens.DIM, "italic": pens.ITALIC, "underline": pens.UNDERLINE, "blink": pens.BLINK,
    "reverse": pens.REVERSE, "concealed": pens.CONCEALED, "struck": pens.STRUCK,
}  # fmt: skip


class OnPty:
    """A program, and the screen that it draws."""

    def __init__(self, pid: int, terminal: int, rows: int, columns: int) -> None:
        self._pid, self._terminal = pid, terminal
        self.emulator = Emulator(rows, columns)
        self.ended = False

    @property
    def text(self) -> str:
        """The screen as lines of text."""
        return "".join(f"{row.text.rstrip()}\n" for row in self.emulator.screen.rows)

    @property
    def look(self) -> str:
        """The same, with what of it is not plain: row, columns and attributes."""
        told = [
            f"{y} {start}-{stop} {words}"
            for y, row in enumerate(self.emulator.screen.rows)
            for start, stop, words in _attributes(row.pens)
        ]
        return self.text + "".join(f"{line}\n" for line in told)

    def read(self, seconds: float) -> bool:
        """Take what is printed within so long; False when nothing was."""
        if self.ended or not select.select([self._terminal], [], [], seconds)[0]:
            return False
        try:
            self.emulator.feed(os.read(self._terminal, 1 << 16))
        except OSError:  # nobody has it open any more
            self.ended = True
            return False
        if answer := self.emulator.answers.take():
            os.write(self._terminal, answer)
        return True

    def until(self, good: Callable[[], bool]) -> None:
        """Wait for the screen to become good."""
        deadline = time.monotonic() + PATIENCE_S
        while not good():
            assert time.monotonic() < deadline, f"this did not come:\n{self.look}"
            self.read(0.05)

    def until_seen(self, *words: str) -> None:
        """Wait until all these words are on the screen."""
        self.until(lambda: all(word in self.text for word in words))

    def settle(self, seconds: float) -> None:
        """Wait until nothing is printed for so long."""
        while self.read(seconds):
            pass

    def press(self, *names: str) -> None:
        """Press keys, by the names that Textual gives them."""
        for name in names:
            character = name if len(name) == 1 else None
            os.write(self._terminal, key(name, character, self.emulator.modes))


def _attributes(row: list[int]) -> Iterator[tuple[int, int, str]]:
    """The parts of a row that are not plain, and how they are."""
    start = 0
    for at in range(1, len(row) + 1):
        if at == len(row) or row[at] != row[start]:
            words = [name for name, bit in ATTRIBUTES.items() if row[start] & bit]
            for side, colour in (("", pens.foreground(row[start])), ("on ", pens.background(row[start]))):
                words += [f"{side}{colour & pens.VALUE:x}"] if colour else []
            if words:
                yield start, at, " ".join(words)
            start = at


@contextmanager
def on_pty(*argv: str, rows: int = 24, columns: int = 80) -> Iterator[OnPty]:
    """A program, ended with what it started."""
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", LANG="C.UTF-8")
        os.execvp(argv[0], argv)
    try:
        yield OnPty(pid, terminal, rows, columns)
    finally:
        os.close(terminal)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
