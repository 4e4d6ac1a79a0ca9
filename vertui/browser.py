"""A URL in the user's browser, where there is a display to show it on: a text browser would take the terminal.

A UI that is itself on a page (`vertui serve`) tells the page what to open.
"""

import json
import os
import webbrowser
from dataclasses import dataclass

DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
PAGE = "VERTUI_PAGE"  # the descriptor by which a page is told


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
    """The page that shows this process."""

    descriptor: int

    def open_url(self, url: str) -> bool:
        """Open it in another tab; whether the page was told."""
        line = f"{json.dumps(['open_url', {'url': url, 'new_tab': True}])}\n"
        try:
            return os.write(self.descriptor, line.encode()) > 0
        except OSError:
            return False


def own_page() -> OwnPage | None:
    """The page that shows this process, if one does. The descriptor is of no use to what is started from here."""
    number = os.environ.pop(PAGE, "")
    return OwnPage(int(number)) if number.isdigit() else None
