"""A terminal that somebody sits before: a program in tmux, keys pressed, the screen read."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.guests import SOON_S, eventually

PRESS_S = 0.15  # between keys, as fast as people press them
SETTINGS = """
set-option -g default-size {columns}x{rows}
set-option -g remain-on-exit on
set-option -g status off
"""


class Tmux:
    """One pane of a server of its own."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def run(self, *argv: str) -> str:
        """A command of tmux's."""
        command = ["tmux", "-S", str(self._socket), "-f", "/dev/null", *argv]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: Enter, Escape, Tab, Right, C-], or a letter."""
        for key in keys:
            self.run("send-keys", key)
            time.sleep(PRESS_S)

    def type(self, text: str) -> None:
        """Type it as it is."""
        self.run("send-keys", "-l", text)
        time.sleep(PRESS_S)

    @property
    def screen(self) -> str:
        """What it shows."""
        return self.run("capture-pane", "-p")

    def sees(self, *words: str) -> None:
        """Wait for all these words."""
        assert eventually(lambda: all(word in self.screen for word in words)), (
            f"{words} did not come:\n{self.screen}"
        )

    def sees_no(self, word: str) -> None:
        """Wait until it is gone."""
        assert eventually(lambda: word not in self.screen), f"{word} stays:\n{self.screen}"

    @property
    def ended(self) -> bool:
        """Is the program gone?"""
        return self.run("list-panes", "-F", "#{pane_dead}").strip() == "1"


@contextmanager
def in_tmux(socket: Path, argv: list[str], columns: int = 120, rows: int = 36) -> Iterator[Tmux]:
    """This program, in a pane of this size."""
    tmux = Tmux(socket)
    settings = socket.with_name("tmux.conf")
    settings.write_text(SETTINGS.format(columns=columns, rows=rows))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TMUX")}
    size = ("-x", str(columns), "-y", str(rows))
    command = ["tmux", "-S", str(socket), "-f", str(settings), "new-session", "-d", *size, *argv]
    subprocess.run(command, env=environment, check=True, timeout=SOON_S)
    try:
        yield tmux
    finally:
        subprocess.run(["tmux", "-S", str(socket), "kill-server"], capture_output=True, check=False)
