"""An app over a hand-made feed, in a home where no daemon can be started: its place is a file."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from core.home import Home
from tests.ui.trees import HandMadeFeed
from vertui.actions import give_keys
from vertui.selection import NOTHING
from vertui.ui import VertuiApp

Show = Callable[..., AbstractAsyncContextManager[Pilot[None]]]


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times are shown in the local zone: let it be the same everywhere."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def no_keys_of_ones_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Whoever runs the tests may have given actions other keys, and so may the test before."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    yield
    give_keys({})


@pytest.fixture
def show(tmp_path: Path) -> Show:
    """Opens the app over a feed: `async with show(feed) as pilot`."""

    @asynccontextmanager
    async def opened(
        feed: HandMadeFeed, size: tuple[int, int] = (120, 36), *, toasts: bool = False
    ) -> AsyncIterator[Pilot[None]]:
        place = tmp_path / "home"
        place.write_text("not a directory")
        app = VertuiApp(Home(place, tmp_path / "run"), lambda: feed)
        async with app.run_test(size=size, notifications=toasts) as pilot:
            while app.main.shown is NOTHING:
                await pilot.pause(0.01)
            await pilot.pause()
            yield pilot

    return opened
