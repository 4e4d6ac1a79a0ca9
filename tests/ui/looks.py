"""What is on the screen, as text, and goldens of it. `VERTUI_GOLDENS=write` writes them anew: look at the diff."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

from textual.app import App
from textual.pilot import Pilot

from vertui.ui import VertuiApp

PATIENCE_S = 60.0  # a busy two-core host starts and forks slowly
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


async def until(pilot: Pilot[None], good: Callable[[], bool]) -> None:
    """Wait for the screen to become good."""
    for _ in range(int(PATIENCE_S / 0.1)):
        if good():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"this did not come:\n{text_of(app_of(pilot))}")


async def until_seen(pilot: Pilot[None], *words: str) -> None:
    """Wait until all these words are on the screen."""
    await until(pilot, lambda: all(word in text_of(app_of(pilot)) for word in words))
