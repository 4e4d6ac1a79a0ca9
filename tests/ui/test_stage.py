"""The demo's player: it shows what it says and presses, below every screen, and whoever watches holds it."""

import asyncio
import re
import threading
from pathlib import Path
from typing import cast

from textual.events import MouseDown, Paste

from core.errors import GuestFailed
from core.home import Home
from tests.ui.looks import text_of, until, until_seen
from tests.ui.trees import DEMO, HandMadeFeed
from vertui.screens.verb_form import VerbForm
from vertui.selection import NOTHING, Selection
from vertui.stage import scenes
from vertui.stage.app import StagedApp
from vertui.stage.player import Player, StageTeller


def staged(
    tmp_path: Path,
    script: object,
    pace: float = 0.0,
    *,
    stays: bool = True,
    made: type[StagedApp] = StagedApp,
) -> StagedApp:
    place = tmp_path / "home"
    place.write_text("not a directory")
    home = Home(place, tmp_path / "run")
    return made(home, script, pace, stays=stays, open_feed=lambda: HandMadeFeed(DEMO))  # type: ignore[arg-type]


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
        app.post_message(Paste("xz"))
        await until_seen(pilot, "held: space goes on")
        await pilot.pause()
        assert "try-x" not in text_of(app)
        await pilot.press("space")
        await until_seen(pilot, "any key holds it")
        go.set()
        await until_seen(pilot, "the end: ⏎ the UI is yours")
        app.post_message(MouseDown(None, 1, 1, 0, 0, 1, False, False, False))
        await pilot.pause()
        assert "the end: ⏎ the UI is yours" in text_of(app)
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


class Doing(StagedApp):
    """Keeps what is to be done, and does it not."""

    done: tuple[str, ...] = ()

    def perform(self, action: str, selection: Selection) -> None:
        """It is kept."""
        self.done += (action,)


async def test_the_scenes_press_keys_that_were_moved(tmp_path: Path) -> None:
    acted = ", ".join(re.findall(r"\.act\(([^)]*)\)", Path(scenes.__file__).read_text()))
    actions = dict.fromkeys(re.findall(r"\w+", acted))
    moved = {action: f"f{number}" for number, action in enumerate(actions, 9)}
    keys = tmp_path / "no-config" / "vertui" / "keys.toml"
    keys.parent.mkdir(parents=True)
    keys.write_text("".join(f'{action} = "{key}"\n' for action, key in moved.items()))

    async def script(player: Player) -> None:
        await player.until("a tree", lambda: player.tree is not NOTHING)
        scenes.select(player, "b2")  # which can be promoted
        for action, key in moved.items():
            await player.act(action)
            await player.until(action, lambda action=action: doing.done[-1:] == (action,))  # type: ignore[misc]
            assert player.caption.keys[-1] == key == scenes.key_of(action)

    doing = cast(Doing, staged(tmp_path, script, stays=False, made=Doing))
    async with doing.run_test() as pilot:
        await until(pilot, lambda: doing._exit)
    assert doing.died is None and len(moved) > 10 and doing.keymap.problems == ()


def test_who_leaves_waits_for_nothing_behind_the_scenes(tmp_path: Path) -> None:
    lets = threading.Event()
    at_last = threading.Timer(30.0, lets.set)

    async def script(player: Player) -> None:
        await player.say("an image is built")
        await player.work(lets.wait)

    async def scene() -> None:
        app = staged(tmp_path, script)
        async with app.run_test() as pilot:
            await until_seen(pilot, "an image is built")
            await pilot.press("x")
            await until_seen(pilot, "held: space goes on")
            await pilot.press("q")
            await until(pilot, lambda: app._exit)

    at_last.start()
    asyncio.run(scene())
    assert not lets.is_set()
    lets.set()
    at_last.cancel()


async def test_what_goes_on_behind_the_scenes_is_shown_to_nobody_who_left(tmp_path: Path) -> None:
    lets, told = threading.Event(), threading.Event()

    async def script(player: Player) -> None:
        def work() -> None:
            lets.wait()
            with StageTeller(player).step("copy the project in"):
                told.set()

        await player.say("a project comes in", "begin")
        await player.work(work)

    app = staged(tmp_path, script)
    async with app.run_test() as pilot:
        await until_seen(pilot, "a project comes in")
        await pilot.press("x", "enter")
        await until(pilot, lambda: "demo · begin" not in text_of(app))
        lets.set()
        await until(pilot, told.is_set)
        await pilot.pause()
        assert "demo · begin" not in text_of(app)


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
