"""The main screen at three sizes, and the first screen: text goldens."""

import pytest

from tests.ui.conftest import Show
from tests.ui.looks import app_of, text_of, until_looks, until_seen
from tests.ui.trees import DEMO, EMPTY, HandMadeFeed


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50)])
async def test_the_tree_fits_the_terminal(show: Show, size: tuple[int, int]) -> None:
    async with show(HandMadeFeed(DEMO), size) as pilot:
        await until_looks(pilot, f"tree-{size[0]}x{size[1]}")


async def test_the_first_screen_offers_to_begin(show: Show) -> None:
    async with show(HandMadeFeed(EMPTY), (80, 24)) as pilot:
        await until_looks(pilot, "welcome-80x24")


async def test_a_narrow_terminal_shows_the_console_when_asked(show: Show) -> None:
    async with show(HandMadeFeed(DEMO), (80, 24)) as pilot:
        assert "console" not in text_of(app_of(pilot))
        await pilot.press("V", "V")
        await until_seen(pilot, "console · main")


async def test_nothing_of_the_guest_reaches_the_terminal_as_control(show: Show) -> None:
    async with show(HandMadeFeed(DEMO), (200, 50)) as pilot:
        await until_seen(pilot, "vertui login: root")
        text = text_of(app_of(pilot))
        assert "evil" not in text  # the title the console tried to set
        assert not any(ord(char) < 32 and char != "\n" for char in text)
        assert "\u202e" not in text


async def test_the_console_follows_its_end(show: Show) -> None:
    lines = b"".join(b"line %d\n" % number for number in range(300))
    async with show(HandMadeFeed(DEMO, lines), (200, 50)) as pilot:
        await until_seen(pilot, "served 42", "line 299")
