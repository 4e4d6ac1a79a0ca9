"""The first minute: a build with one bar, six cards that come once, and what things are wherever one asks."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from core.home import Home
from core.model import Event
from core.progress import BuildProgress, BuildStep
from tests.stand_in import standing_in
from tests.ui.conftest import Show
from tests.ui.looks import app_of, text_of, until, until_seen
from tests.ui.trees import DEMO, EMPTY, HandMadeFeed, event
from vertui.actions import BY_ID
from vertui.screens.images import ImagesScreen
from vertui.selection import NOTHING
from vertui.ui import VertuiApp
from vertui.words import CARDS, WORDS

SMALL = (80, 24)
NOTE = "it does not boot on KVM, so it goes on with emulation: no answer within 15 s"


def building(step: BuildStep, number: int, fraction: float, **more: object) -> Event:
    told = {"line": "Setting up libc6 (2.36)", "guessed": False} | more
    progress = BuildProgress(step, number, 7, 110.0, **told)  # type: ignore[arg-type]
    return replace(event("progress", "base", str(step), fraction=fraction), progress=progress)


async def test_a_build_is_one_bar_with_step_time_left_and_what_happens(show: Show) -> None:
    feed = HandMadeFeed(EMPTY)
    async with show(feed, SMALL) as pilot:
        feed.put(EMPTY, building(BuildStep.INSTALL, 1, 0.25, guessed=True))
        await until_seen(pilot, "step 1 of 7  installing Debian", "some 2 min left, a first guess", " 25%")
        await until_seen(pilot, "Setting up libc6 (2.36)", "X cancel build")
        assert sum("━" in line for line in text_of(app_of(pilot)).split("\n")) == 1
        feed.put(EMPTY, building(BuildStep.BOOT, 5, 0.8, note=NOTE, line="by emulation\x1b[2J"))
        await until_seen(pilot, "about 2 min left", "by emulation\\x1b[2J", "! it does not boot on KVM")
        feed.put(EMPTY, event("image", "base", "image base is ready"))
        await until_seen(pilot, "⏎ begin", "! it does not boot on KVM, so it goes on")


async def test_a_build_is_cancelled_by_a_key(tmp_path: Path) -> None:
    home, feed = Home(tmp_path, tmp_path / "r"), HandMadeFeed(EMPTY)
    with standing_in(home, {"/v1/cancel-build": {}}) as asked:
        async with VertuiApp(home, lambda: feed).run_test(size=SMALL) as pilot:
            await until_seen(pilot, "⏎ begin")
            await pilot.press("X")
            await until_seen(pilot, "cancel build: no image is being built")
            feed.put(EMPTY, building(BuildStep.DISK, 3, 0.5))
            await until_seen(pilot, "step 3 of 7")
            await pilot.press("X")
            await until(pilot, lambda: "/v1/cancel-build" in asked)


async def test_what_else_takes_long_has_a_bar_and_is_no_build(show: Show) -> None:
    feed = HandMadeFeed(DEMO)
    async with show(feed, (120, 36)) as pilot:
        feed.put(DEMO, event("progress", "key", "starting b1…b8: 4 of 16, about 5 s left", fraction=0.25))
        await until_seen(pilot, "starting b1…b8: 4 of 16, about 5 s left", " 25%")
        await pilot.press("X")
        await until_seen(pilot, "cancel build: no image is being built")
        for key in (BY_ID["trash"].key, BY_ID["images"].key):
            await pilot.press(key)
            feed.put(DEMO, event("progress", "key", "freeing what nothing needs: 3 of 4", fraction=0.75))
            await until_seen(pilot, "freeing what nothing needs: 3 of 4", " 75%")
            feed.put(DEMO, replace(event("progress", "key", "reading: 12,000"), fraction=None))
            await until_seen(pilot, "reading: 12,000")
            assert "━━" not in text_of(app_of(pilot)), "nobody knows how many there are"
            await pilot.press("escape")
        feed.put(DEMO, event("operation", "7", "fork main into b1…b8"))
        await until(
            pilot, lambda: "━━" not in text_of(app_of(pilot)) and "4 of 16" not in text_of(app_of(pilot))
        )


async def test_what_came_to_nothing_says_why_and_can_be_tried_again(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path / "r")
    with standing_in(home, {"/v1/image": b'{"kind": "Unsupported"}'}):
        async with VertuiApp(home, lambda: HandMadeFeed(EMPTY)).run_test(size=SMALL) as pilot:
            await until_seen(pilot, "⏎ begin")
            await pilot.press("enter")
            await until_seen(pilot, "✗ ", "⏎ try again")


async def test_six_cards_come_once_in_a_new_home(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path / "r")
    home.catalog.touch()
    async with VertuiApp(home, lambda: HandMadeFeed(EMPTY)).run_test(size=SMALL) as pilot:
        for place, card in enumerate(CARDS, 1):
            await until_seen(pilot, f"{place} of {len(CARDS)} · {card.title}")
            for action in map(BY_ID.__getitem__, card.actions):
                assert f"{action.key_label:<6}{action.label}" in text_of(app_of(pilot)), "a key that is true"
            await pilot.press("enter")
        await until(pilot, lambda: app_of(pilot).screen is app_of(pilot).main)
    async with VertuiApp(home, lambda: HandMadeFeed(EMPTY)).run_test(size=SMALL) as pilot:
        await until_seen(pilot, "⏎ begin")
        assert app_of(pilot).screen is app_of(pilot).main
        await pilot.press("f4", "right", "left", "escape", "f4")
        await until_seen(pilot, "1 of 6")
    assert len(CARDS) == 6


@pytest.mark.parametrize("size", [(40, 12), (80, 24)])
async def test_no_card_loses_its_keys(show: Show, size: tuple[int, int]) -> None:
    async with show(HandMadeFeed(DEMO), size) as pilot:
        await pilot.press("f4")
        for place in range(1, len(CARDS) + 1):
            await until_seen(pilot, f"{place} of 6", "esc")
            await pilot.press("right")


async def test_a_home_with_machines_is_nobodys_first(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path / "r")
    home.catalog.touch()
    async with VertuiApp(home, lambda: HandMadeFeed(DEMO)).run_test(size=SMALL) as pilot:
        await until(pilot, lambda: app_of(pilot).main.shown is not NOTHING)
        await pilot.pause()
        assert app_of(pilot).screen is app_of(pilot).main and not home.toured.exists()


async def test_what_things_are_is_found_wherever_one_asks(show: Show) -> None:
    async with show(HandMadeFeed(EMPTY), (120, 36)) as pilot:
        await pilot.press("question_mark")
        await until_seen(pilot, "what things are, and all keys", "a named line of work")
        await pilot.press(*"start N copies")
        await until_seen(pilot, "f     fork")
        await pilot.press("escape", "question_mark", *"images, and building", "enter")
        await until(pilot, lambda: isinstance(app_of(pilot).screen, ImagesScreen))
        await pilot.press("colon", *"golden")
        await until_seen(pilot, "what is: golden commit")
        await pilot.press("enter")
        await until_seen(pilot, "the machine as it was when it had booted")
    async with show(HandMadeFeed(DEMO), (120, 36)) as pilot:
        await pilot.press("f1", *"quiesced")
        await until_seen(pilot, "every process stood still")


def test_words_name_actions_that_there_are() -> None:
    assert all(action in BY_ID for one in (*WORDS, *CARDS) for action in one.actions)
    assert {"branch", "commit", "image", "trunk", "fork", "promote", "prune"} <= {one.name for one in WORDS}
