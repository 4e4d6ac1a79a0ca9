"""Start the terminal UI. The app itself is `vertui.ui.VertuiApp`."""

import gc
import sys

from core.daemon.endpoint import Endpoint
from core.errors import UsageError


def check_terminal() -> None:
    """UsageError where there is none."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the UI needs a terminal: see `vertui --help` for verbs that do without")


def run(endpoint: Endpoint, *, read_only: bool = False) -> int:
    """Show the UI until the user leaves it: its exit status. One that is `read_only` changes nothing.

    Importing it makes some hundred thousand objects that stay: looking for garbage among them costs a third of the
    time to the first frame, so the collector rests until then.
    """
    gc.disable()
    from vertui.ui import VertuiApp

    return VertuiApp(endpoint, read_only=read_only).live()
