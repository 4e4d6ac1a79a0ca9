"""The demo's player: it shows what it says and presses, below every screen, and whoever watches holds it."""

import asyncio
from pathlib import Path

from core.errors import GuestFailed
from core.home import Home
from tests.ui.looks import text_of, until, until_seen
from tests.ui.trees import DEMO, HandMadeFeed
from vertui.screens.verb_form import VerbForm
from vertui.selection import NOTHING
from vertui.stage.app import StagedApp
from vertui.stage.player import Player


def staged(tmp_path: Path, script: object, pace: float = 0.0, *, stays: bool = True) -> StagedApp:
    place = tmp_path / "home"
    place.write_text("not a directory")
    home = Home(place, tmp_path / "run")
    return StagedApp(home, script, pace, stays=stays, open_feed=lambda: HandMadeFeed(DEMO))  # type: ignore[arg-type]


async def test_what_is_said_and_pressed_is_shown_on_every_screen(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def script(player: Player) -> None:
        await player.until("a tree", lambda: player.tree is not NOTHING)
        await player.say("Fork it.", "fork")
        await player.press("f")
        await player.until("the form", lambda: isinstance(player.app.screen, VerbForm))
        await player.press("tab")
        await player.type("try-")
        await go.wait()

    app = staged(tmp_path, script)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(
            pilot, "demo · fork", "Fork it.", "fork main", " f   tab   try- ", "any key holds it", "try-1"
        )
        await pilot.press("x", "y")
        await until_seen(pilot, "held: space goes on")
        assert "try-xy" not in text_of(app) and "try-x" not in text_of(app)
        await pilot.press("space")
        await until_seen(pilot, "any key holds it")
        go.set()
        await until_seen(pilot, "the end: ⏎ the UI is yours")
        await pilot.press("enter")
        await until(pilot, lambda: "demo · fork" not in text_of(app))
        await pilot.press("z")
        await until_seen(pilot, "try-z1")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.screen is app.main)


async def test_it_stands_still_while_it_is_held(tmp_path: Path) -> None:
    said: list[str] = []

    async def script(player: Player) -> None:
        for word in ("one", "two", "three"):
            await player.say(word)
            said.append(word)

    app = staged(tmp_path, script, 0.01)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("j")
        await until_seen(pilot, "held: space goes on")
        before = list(said)
        await asyncio.sleep(0.2)
        assert len(said) <= len(before) + 1 < 4 or said == ["one", "two", "three"]
        await pilot.press("space")
        await until(pilot, lambda: said == ["one", "two", "three"])
        await pilot.press("q")
        await until(pilot, lambda: app._exit)


async def test_a_step_that_fails_ends_it_and_says_why(tmp_path: Path) -> None:
    async def script(player: Player) -> None:
        raise GuestFailed("demo: the children: this did not come")

    app = staged(tmp_path, script)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.died is not None)
    assert str(app.died) == "demo: the children: this did not come"


async def test_it_leaves_by_itself_where_nobody_watches(tmp_path: Path) -> None:
    async def script(player: Player) -> None:
        await player.say("all of it")

    app = staged(tmp_path, script, stays=False)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app._exit)
    assert app.died is None
