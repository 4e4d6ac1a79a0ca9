"""A URL in the user's browser, where there is a display to show it on: a text browser would take the terminal.

A UI that is itself on a page (`vertui serve`) tells the page what to open, and what to save.
"""

import json
import os
import webbrowser
from dataclasses import dataclass
from pathlib import Path

DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
PAGE = "VERTUI_PAGE"  # the descriptor by which a page is told
PAGE_FILES = "VERTUI_PAGE_FILES"  # the directory from which it takes files, which goes with it
OPEN, SAVE = "open_url", "save"  # the words that it is told, and a UI's only ones


def open_url(url: str) -> bool:
    """Open it; whether something did."""
    if not any(os.environ.get(name) for name in DISPLAYS):
        return False
    try:
        return webbrowser.open(url)
    except (OSError, webbrowser.Error):
        return False


@dataclass(frozen=True)
class OwnPage:
    """The page that shows this process. What it is to save is put into `files` first."""

    descriptor: int
    files: Path

    def open_url(self, url: str) -> bool:
        """Open it in another tab; whether the page was told."""
        return self._tell(OPEN, url=url, new_tab=True)

    def hand_over(self, file: Path, name: str) -> bool:
        """Have the browser save a file, which is the page's from now on, under this name; whether the page was told."""
        return self._tell(SAVE, file=file.name, name=name)

    def _tell(self, what: str, **of: object) -> bool:
        line = f"{json.dumps([what, of])}\n"
        try:
            return os.write(self.descriptor, line.encode()) > 0
        except OSError:
            return False


def own_page() -> OwnPage | None:
    """The page that shows this process, if one does. The descriptor is of no use to what is started from here."""
    number, files = os.environ.pop(PAGE, ""), os.environ.pop(PAGE_FILES, "")
    return OwnPage(int(number), Path(files)) if number.isdecimal() and files else None
