"""How the screen was left: a small file of the home, so that it is found so again.

Names may hold halves of surrogate pairs, which Python's own module for JSON writes and msgspec does not.
"""

import json
import threading
from contextlib import suppress
from pathlib import Path

from msgspec import Struct, field

from core.codec import decode, encode
from core.daemon.endpoint import Endpoint
from core.files import write_atomic
from core.home import Home

MOST_FOLDS = 500  # the newest that somebody opened or closed
LONGEST_FILE = 1 << 20  # bytes: what is longer is not ours


class ScreenLook(Struct, frozen=True):
    """What is kept of the screen. A fold is named as its row is; `off` are the rules of noise that are not in force."""

    theme: str = ""
    view: str = ""
    filter: str = ""
    sort: str = ""
    backwards: bool = False
    unfolded: bool | None = None
    folds: dict[str, bool] = field(default_factory=dict)
    side_by_side: bool = False
    wrapped: bool = False
    blank: bool = False
    off: tuple[str, ...] = ()
    took_s: dict[str, float] = field(default_factory=dict)


class Remembered:
    """The file of one home; of a daemon's port there is none, nor of a home that is not there yet. One that keeps
    nothing leaves it as it is.
    """

    def __init__(self, endpoint: Endpoint, *, keeps: bool = True) -> None:
        self._keeps = keeps
        self._file = endpoint.screen if isinstance(endpoint, Home) else None
        self._writing = threading.Lock()
        self.kept = ScreenLook()
        self.trouble = ""

    def read(self) -> ScreenLook:
        """What is kept. A file that cannot be read is set aside, and `trouble` says so."""
        if self._file is None:
            return self.kept
        try:
            with self._file.open("rb") as opened:
                self.kept = decode(ScreenLook, json.loads(opened.read(LONGEST_FILE)))
        except (FileNotFoundError, NotADirectoryError):
            pass
        except (OSError, ValueError, RecursionError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            helps = _set_aside(self._file) if self._keeps else f"remove {self._file}"
            self.trouble = f"how the screen was left cannot be read ({reason}): {helps}"
        return self.kept

    def keep(self, look: ScreenLook) -> None:
        """Write it, unless it is kept already. May block; raises VertuiError."""
        with self._writing:
            if self._file is None or not self._keeps or look == self.kept or not self._file.parent.is_dir():
                return
            self.kept = look
            write_atomic(self._file, json.dumps(encode(look), indent=2).encode())


def _set_aside(file: Path) -> str:
    aside = file.with_name(f"{file.name}.broken")
    with suppress(OSError):
        file.replace(aside)
        return f"{file} is now {aside.name}"
    return f"remove {file}"
