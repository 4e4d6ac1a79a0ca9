"""Start the terminal UI. The app itself is `vertui.ui.VertuiApp`."""

import gc

from core.daemon.endpoint import Endpoint


def run(endpoint: Endpoint, *, read_only: bool = False) -> int:
    """Show the UI until the user leaves it: its exit status. One that is `read_only` changes nothing.

    Importing it makes some hundred thousand objects that stay: looking for garbage among them costs a third of the
    time to the first frame, so the collector rests until then.
    """
    gc.disable()
    from vertui.ui import VertuiApp

    return VertuiApp(endpoint, read_only=read_only).live()
