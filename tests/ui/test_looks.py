"""The main screen at three sizes, and the first screen: text goldens."""

import pytest

from tests.ui.conftest import Show
from tests.ui.looks import app_of, assert_looks, text_of
from tests.ui.trees import DEMO, EMPTY, HandMadeFeed

SETTLED_S = 0.5  # longer than the cursor's rest and the answers that follow


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50)])
async def test_the_tree_fits_the_terminal(show: Show, size: tuple[int, int]) -> None:
    async with show(HandMadeFeed(DEMO), size) as pilot:
        await pilot.pause(SETTLED_S)
        assert_looks(app_of(pilot), f"tree-{size[0]}x{size[1]}")


async def test_the_first_screen_offers_to_begin(show: Show) -> None:
    async with show(HandMadeFeed(EMPTY), (80, 24)) as pilot:
        assert_looks(app_of(pilot), "welcome-80x24")


async def test_a_narrow_terminal_shows_the_console_when_asked(show: Show) -> None:
    async with show(HandMadeFeed(DEMO), (80, 24)) as pilot:
        assert "console" not in text_of(app_of(pilot))
        await pilot.press("v", "v")
        await pilot.pause(SETTLED_S)
        assert "console · main" in text_of(app_of(pilot))


async def test_nothing_of_the_guest_reaches_the_terminal_as_control(show: Show) -> None:
    async with show(HandMadeFeed(DEMO), (200, 50)) as pilot:
        await pilot.pause(SETTLED_S)
        text = text_of(app_of(pilot))
        assert "vertui login: root" in text
        assert "evil" not in text  # the title the console tried to set
        assert not any(ord(char) < 32 and char != "\n" for char in text)
        assert "\u202e" not in text


async def test_the_console_follows_its_end(show: Show) -> None:
    lines = b"".join(b"line %d\n" % number for number in range(300))
    async with show(HandMadeFeed(DEMO, lines), (200, 50)) as pilot:
        await pilot.pause(SETTLED_S)
        assert "served 42" in text_of(app_of(pilot)) and "line 299" in text_of(app_of(pilot))
