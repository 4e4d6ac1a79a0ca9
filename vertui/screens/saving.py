"""What a user saves: in a new file whose name is asked for; or, where the UI is on a page, handed to the browser: files
here are not those of who sits before it.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

from core.errors import UsageError
from core.files import disk_error
from core.model import new_key
from vertui.base import BaseApp
from vertui.browser import OwnPage
from vertui.screens.dialogs import Answers, Field, FormDialog, needed

T = TypeVar("T")
Write = Callable[[IO[bytes]], T]
"""Fills an open file, in a thread; what it answers is told with where the file is."""


def save_as(app: BaseApp, title: str, name: str, write: Write[T], told: Callable[[str, T], object]) -> None:
    """Ask for a file's name and fill it; a browser asks by itself. `told` learns what was saved where."""
    if app.page is not None:
        hand_over(app, app.page, name, write, told)
        return

    def go(answers: Answers | None) -> None:
        if answers is not None:
            file = path_of(answers["file"])
            app.call(f"saving {file}", partial(_save, file, write), partial(told, f"saved: {file}"))

    field = Field("file", "file", name, "a new file", wrong_name)
    app.push_screen(FormDialog(title, (field,), "Save"), go)


def hand_over(
    app: BaseApp, page: OwnPage, name: str, write: Write[T], told: Callable[[str, T], object]
) -> None:
    """Fill a file and let the browser have it under this name."""
    if not app.may_use_host():
        return

    def work() -> T:
        file = page.files / new_key()
        answer = _save(file, write)
        if not page.hand_over(file, name):
            raise UsageError("the page is gone")
        return answer

    app.call(f"saving {name}", work, partial(told, f"handed to the browser: {name}"))


def fill_new(file: Path, write: Write[T]) -> T:
    """Make a file; half of it is none, and goes when it cannot be finished. FileExistsError where there is one."""
    try:
        with file.open("xb") as out:
            try:
                return write(out)
            except BaseException:
                with suppress(OSError):
                    file.unlink()
                raise
    except FileExistsError:
        raise
    except OSError as error:
        raise disk_error(error, file) from error
    except ValueError as error:  # no name that a filesystem takes
        raise UsageError(f"there can be no file of that name: {error}") from error


def path_of(text: str) -> Path:
    """The path that somebody typed, `~` being a home; UsageError for nobody's."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{text} leads nowhere: there is no such user") from error


def wrong_name(text: str) -> str | None:
    """Why a file of this name cannot be made, as far as that is seen beforehand."""
    if reason := needed(text):
        return reason
    try:
        return f"{text} is there already" if path_of(text).exists() else None
    except UsageError as error:
        return str(error)
    except OSError as error:
        return f"{text} cannot be looked for: {error.strerror}"


def _save(file: Path, write: Write[T]) -> T:
    try:
        return fill_new(file, write)
    except FileExistsError as error:
        raise UsageError(f"{file} is there already: name another file") from error
