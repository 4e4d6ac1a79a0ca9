"""A URL in the user's browser, where there is a display to show it on: a text browser would take the terminal."""

import os
import webbrowser

DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def open_url(url: str) -> bool:
    """Open it; whether something did."""
    if not any(os.environ.get(name) for name in DISPLAYS):
        return False
    try:
        return webbrowser.open(url)
    except (OSError, webbrowser.Error):
        return False
