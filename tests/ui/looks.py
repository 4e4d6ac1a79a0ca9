"""What is on the screen, as text, and goldens of it. `VERTUI_GOLDENS=write` writes them anew: look at the diff."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from textual._context import visible_screen_stack
from textual.app import App
from textual.pilot import Pilot

from vertui.ui import VertuiApp

PATIENCE_S = 60.0  # a busy two-core host starts and forks slowly
LOOKS_S = 20.0
SETTLED_S = 1.0  # longer than the cursor's rest and the answers that follow
POLL_S = 0.05
GOLDENS = Path(__file__).parent / "goldens"


def app_of(pilot: Pilot[None]) -> VertuiApp:
    """The app by its own type."""
    return cast(VertuiApp, pilot.app)


def text_of(app: App[None]) -> str:
    """The screen as lines of text, what is seen through it too: Textual must be told of that before it draws."""
    visible_screen_stack.set(app._background_screens)
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips) + "\n"


async def until_looks(pilot: Pilot[None], name: str) -> None:
    """Wait until the screen is as it was when somebody last looked at it and found it good."""
    path, app = GOLDENS / f"{name}.txt", app_of(pilot)
    if os.environ.get("VERTUI_GOLDENS") == "write":
        await asyncio.sleep(SETTLED_S)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text_of(app))
    deadline = time.monotonic() + LOOKS_S
    while text_of(app) != path.read_text() and time.monotonic() < deadline:
        await asyncio.sleep(POLL_S)
    assert text_of(app) == path.read_text()


async def until(pilot: Pilot[None], good: Callable[[], bool]) -> None:
    """Wait for the screen to become good."""
    deadline = time.monotonic() + PATIENCE_S
    while not good():
        assert time.monotonic() < deadline, f"this did not come:\n{text_of(app_of(pilot))}"
        await asyncio.sleep(POLL_S)


async def until_seen(pilot: Pilot[None], *words: str) -> None:
    """Wait until all these words are on the screen."""
    await until(pilot, lambda: all(word in text_of(app_of(pilot)) for word in words))
