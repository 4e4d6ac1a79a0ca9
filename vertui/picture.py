"""A picture of the screen, as SVG."""

import io
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

from rich.console import Console

from core.errors import UsageError
from vertui.base import TOAST_S, BaseApp
from vertui.plain import toast
from vertui.screens.saving import Write, fill_new, hand_over

MOST_TRIES = 100  # names, where pictures are taken faster than the clock goes on


def take_picture(app: BaseApp) -> None:
    """Save what is on the screen, in a new file where the user stands or by the browser that shows it; say where."""
    width, height = app.size
    console = Console(
        width=width, height=height, file=io.StringIO(), force_terminal=True, color_system="truecolor",
        record=True, legacy_windows=False, safe_box=False,
    )  # fmt: skip
    # As Textual's `export_screenshot`, but that all is left to a thread which needs no widget.
    shown = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)

    def draw(out: IO[bytes]) -> None:
        console.print(shown)
        out.write(console.export_svg(title="vertui").encode())

    def told(where: str, _: object) -> None:
        toast(app, where, TOAST_S, title="picture", error=False)

    if app.page is not None:
        hand_over(app, app.page, next(_names()), draw, told)
    else:
        app.ask(
            partial(_save, draw),
            lambda path: told(f"saved: {path}", None),
            lambda error: app.fail(str(error), "taking a picture"),
        )


def _save(draw: Write[None]) -> Path:
    """No file is written over."""
    for name in _names():
        path = Path(name).absolute()
        try:
            fill_new(path, draw)
        except FileExistsError:
            continue
        return path
    raise UsageError(f"{MOST_TRIES} pictures are there of this second: wait for the next")


def _names() -> Iterator[str]:
    name = time.strftime("vertui-%Y%m%d-%H%M%S")
    for number in range(MOST_TRIES):
        yield f"{name}-{number}.svg" if number else f"{name}.svg"
