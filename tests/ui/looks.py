"""What is on the screen, as text, and goldens of it. `VERTUI_GOLDENS=write` writes them anew: look at the diff."""

import os
from pathlib import Path
from typing import cast

from textual.app import App
from textual.pilot import Pilot

from vertui.app import VertuiApp

GOLDENS = Path(__file__).parent / "goldens"


def app_of(pilot: Pilot[None]) -> VertuiApp:
    """The app by its own type."""
    return cast(VertuiApp, pilot.app)


def text_of(app: App[None]) -> str:
    """The screen as lines of text."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips) + "\n"


def assert_looks(app: App[None], name: str) -> None:
    """The screen is as it was when somebody last looked at it and found it good."""
    path, text = GOLDENS / f"{name}.txt", text_of(app)
    if os.environ.get("VERTUI_GOLDENS") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()
