"""A picture of the screen, as SVG."""

import io
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from rich.console import Console

from core.errors import UsageError
from core.files import disk_error
from vertui.base import TOAST_S, BaseApp
from vertui.plain import toast

MOST_TRIES = 100  # names, where pictures are taken faster than the clock goes on


def take_picture(app: BaseApp) -> None:
    """Save what is on the screen where the user stands, in a new file, and say in which."""
    width, height = app.size
    console = Console(
        width=width, height=height, file=io.StringIO(), force_terminal=True, color_system="truecolor",
        record=True, legacy_windows=False, safe_box=False,
    )  # fmt: skip
    # As Textual's `export_screenshot`, but that what takes long is left to a thread.
    console.print(app.screen._compositor.render_update(full=True, screen_stack=app._background_screens))
    app.ask(
        partial(_save, console),
        lambda path: toast(app, f"saved: {path}", TOAST_S, title="picture", error=False),
        lambda error: app.fail(str(error), "taking a picture"),
    )


def _save(console: Console) -> Path:
    """Draw it and write it. No file is written over."""
    drawn = console.export_svg(title="vertui")
    for path in _names():
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(drawn)
        except FileExistsError:
            continue
        except OSError as error:
            raise disk_error(error, path) from error
        return path
    raise UsageError(f"{MOST_TRIES} pictures are there of this second: wait for the next")


def _names() -> Iterator[Path]:
    name = time.strftime("vertui-%Y%m%d-%H%M%S")
    for number in range(MOST_TRIES):
        yield Path(f"{name}-{number}.svg" if number else f"{name}.svg").absolute()
