"""Start the terminal UI. The app itself is `vertui.ui.VertuiApp`."""

import gc
import os
import sys

from core.daemon.endpoint import Endpoint
from core.errors import UsageError


def check_terminal() -> None:
    """UsageError where there is none."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the UI needs a terminal: see `vertui --help` for verbs that do without")


def prepare() -> None:
    """Before the UI is imported.

    That makes some hundred thousand objects that stay: looking for garbage among them costs a third of the time to the
    first frame, so the collector rests until then. And Textual, which draws a change at once after a rest, draws the
    next one up to two of its frames later: short frames make that 17 ms of 33. COLUMNS and LINES, which some shells and
    programs hand on, were another terminal's size, or this one's once: the UI would have that for ever.
    """
    gc.disable()
    os.environ.setdefault("TEXTUAL_FPS", "120")
    for once in ("COLUMNS", "LINES"):
        os.environ.pop(once, None)


def run(endpoint: Endpoint, *, read_only: bool = False) -> int:
    """Show the UI until the user leaves it: its exit status. One that is `read_only` changes nothing."""
    prepare()
    from vertui.ui import VertuiApp

    return VertuiApp(endpoint, read_only=read_only).live()
