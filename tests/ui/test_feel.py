"""What the screen feels like: panes by key, number and mouse, ranges, themes, one's own keys, how it was left."""

import json
import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import pytest
from msgspec.structs import replace
from rich.style import Style
from textual.pilot import Pilot

from core.errors import UsageError, VertuiError
from core.home import Home
from core.model import Tree
from tests.stand_in import standing_in
from tests.ui.conftest import Show
from tests.ui.looks import app_of, text_of, until, until_seen
from tests.ui.trees import DEMO, EMPTY, HandMadeFeed, event
from vertui.actions import ACTIONS, BY_ID, READ_ONLY, Action
from vertui.base import ONLY_A_PAGE
from vertui.browser import PAGE, PAGE_FILES, SAVE, OwnPage
from vertui.compare.noise import RULES
from vertui.folds import Folds
from vertui.screens.actions import ActionsScreen
from vertui.screens.board import BoardScreen
from vertui.screens.carry import Carry
from vertui.screens.dialogs import FormDialog
from vertui.screens.diff import DiffScreen
from vertui.screens.images import ImagesScreen
from vertui.screens.log import LogScreen
from vertui.screens.saving import fill_new, save_as, wrong_name
from vertui.screens.secrets import SecretsScreen
from vertui.screens.store import StoreScreen
from vertui.screens.swarms import SwarmsScreen
from vertui.screens.themes import ThemesDialog
from vertui.screens.tokens import TokensScreen
from vertui.screens.trash import TrashScreen
from vertui.screens.watch import WatchScreen
from vertui.selection import NOTHING
from vertui.ui import VertuiApp
from vertui.widgets.rows import RowList

SIZE = (120, 36)


@asynccontextmanager
async def at_home(root: Path, tree: Tree = DEMO, *, read_only: bool = False) -> AsyncIterator[Pilot[None]]:
    """The app over a home that can be written in."""
    root.mkdir(exist_ok=True)
    app = VertuiApp(Home(root, root / "r"), lambda: HandMadeFeed(tree), read_only=read_only)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, lambda: app.main.shown is not NOTHING)
        await pilot.pause()
        yield pilot


def focused(pilot: Pilot[None]) -> str:
    return str(pilot.app.focused.id) if pilot.app.focused else ""


async def test_every_pane_is_reached_by_number_tab_and_mouse_and_scrolls(show: Show) -> None:
    async with show(HandMadeFeed(DEMO), (120, 20)) as pilot:
        for key, pane in (
            ("2", "detail"),
            ("3", "console"),
            ("1", "tree"),
            ("tab", "detail"),
            ("tab", "console"),
        ):
            await pilot.press(key)
            await until(pilot, lambda pane=pane: focused(pilot) == pane)  # type: ignore[misc]
        await pilot.click("#detail")
        await until(pilot, lambda: focused(pilot) == "detail")
        detail = app_of(pilot).main._detail
        await until(pilot, lambda: detail.max_scroll_y > 0)
        await pilot.press("G")
        await until(pilot, lambda: detail.scroll_offset.y == detail.max_scroll_y)
        await pilot.press("k")
        await until(pilot, lambda: detail.scroll_offset.y == detail.max_scroll_y - 1)
        await pilot.press("V", "3")
        await until(pilot, lambda: focused(pilot) == "console" and app_of(pilot).main.view == "console")
        await pilot.press("V")
        await until(pilot, lambda: focused(pilot) == "console" and app_of(pilot).main.view == "both")


async def test_a_range_is_marked_in_the_tree_as_on_the_scoreboard(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        main = app_of(pilot).main
        await pilot.press("v", "j", "j", "j")
        assert main.selection.refs == ("main", "5ab3c05a", "b2", "try1")
        await until_seen(pilot, "4 marked")
        await pilot.press("k", "v", "j", "j")
        await until(pilot, lambda: main.selection.refs == ("main", "5ab3c05a", "b2"))
        await pilot.press("v", "escape")
        await until(pilot, lambda: len(main.selection.marked) == 0)


async def test_the_view_is_found_as_it_was_left(tmp_path: Path) -> None:
    async with at_home(tmp_path / "home") as pilot:
        await pilot.press("slash", *"b", "enter", "equals_sign", "tilde", "V", "Z")
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(pilot.app.screen, ThemesDialog))
        await pilot.press("j", "j", "enter")
        await until(pilot, lambda: app_of(pilot).worn.name == "fjord")
        app_of(pilot).arrangement.side_by_side = True
        app_of(pilot).arrangement.rules = RULES[1:]
    async with at_home(tmp_path / "home") as pilot:
        app, main = app_of(pilot), app_of(pilot).main
        assert main.tree_view.filter == "b" and str(main.tree_view.sorting) == "by score, backwards"
        assert (
            main.view == "detail" and main.has_class("-detail") and main.tree_view.folds == Folds(every=True)
        )
        assert app.worn.name == app.theme == "fjord"
        assert app.arrangement.side_by_side and app.arrangement.rules == RULES[1:]
        await until_seen(pilot, "/b · ", "by score, backwards")
    assert len([*(tmp_path / "home").iterdir()]) == 1, "one file keeps it, and no other is left"


async def test_files_that_are_broken_are_told_at_the_start_and_in_help(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "screen.json").write_text("{")
    (home / "keys.toml").write_text('frok = "f5"\nfork = "f5"\n')
    async with at_home(home) as pilot:
        await until_seen(pilot, "how the screen was left cannot be", "screen.json.broken")
        await pilot.press("question_mark")
        await until_seen(pilot, "frok: there is no such action")
        await pilot.press("escape", "f")
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(pilot.app.screen, FormDialog))
        await pilot.press("escape")
        await until_seen(pilot, " f5 fork ")


async def test_a_key_that_is_moved_is_moved_on_every_screen(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "keys.toml").write_text('watch = "f5"\nscore = "w"\n')
    async with at_home(home) as pilot:
        await pilot.press("B")
        await until_seen(pilot, "f5 watch", "w score")
        await pilot.press("w")
        await until(pilot, lambda: isinstance(pilot.app.screen, FormDialog))
        await pilot.press("escape", "f5")
        await until(pilot, lambda: isinstance(pilot.app.screen, WatchScreen))
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(pilot.app.screen, BoardScreen))
    async with at_home(tmp_path / "other") as pilot:
        await until_seen(pilot, " w watch ")


async def test_a_word_names_the_key_that_helps_as_it_is_moved(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "keys.toml").write_text('score = "f6"\n')
    unscored = replace(DEMO, branches=tuple(replace(one, score=None) for one in DEMO.branches))
    async with at_home(home, unscored) as pilot:
        await pilot.press("asterisk")
        await until_seen(pilot, "no branch has a score: f6 gives one")


async def test_a_theme_is_found_in_the_palette_and_seen_before_it_is_kept(tmp_path: Path) -> None:
    async with at_home(tmp_path / "home") as pilot:
        app = app_of(pilot)
        await pilot.press("colon", *"theme paper")
        await until_seen(pilot, "light, white ground")
        await pilot.press("enter")
        await until(pilot, lambda: app.worn.name == "paper")
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.screen, ThemesDialog))
        await pilot.press("G")
        await until(pilot, lambda: app.worn.name == "sixteen" and isinstance(app.screen, ThemesDialog))
        await pilot.press("escape")
        await until(pilot, lambda: app.worn.name == "paper" and app.screen is app.main)


async def test_the_palette_and_help_find_by_letters(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        await pilot.press("question_mark")
        await until_seen(pilot, "machines", "history")
        await pilot.press(*"prn")
        await until_seen(pilot, "x      prune  ", "←      parent  ")
        await pilot.press("escape", "colon", *"scbrd")
        await until_seen(pilot, "branches ranked by score")


async def test_no_color_is_honoured(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with show(HandMadeFeed(DEMO)) as pilot:
        app = app_of(pilot)
        await pilot.press("f")
        await until_seen(pilot, "Cancel")
        styles: list[Style] = []
        for strip in app.screen._compositor.render_strips():
            styles += [segment.style for segment in strip if segment.style]
        assert not any(style.color or style.bgcolor for style in styles)
        assert any(style.reverse for style in styles)


async def test_a_picture_is_saved_in_a_file_that_is_named(
    show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    async with show(HandMadeFeed(DEMO), toasts=True) as pilot:
        await pilot.press("f2")
        await until_seen(pilot, "saved: ", ".svg")
        await pilot.press("i", "f2")
        await until(pilot, lambda: len([*Path.cwd().iterdir()]) == 2)
        first, second = sorted(Path.cwd().iterdir(), key=lambda path: path.stat().st_mtime_ns)
        await until(pilot, lambda: "</svg>" in second.read_text())
        assert "try1" in first.read_text() and "images" in second.read_text()


async def test_on_a_page_what_is_saved_is_handed_to_the_browser(
    show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, writes = os.pipe()
    (files := tmp_path / "files").mkdir()
    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv(PAGE, str(writes))
    monkeypatch.setenv(PAGE_FILES, str(files))
    async with show(HandMadeFeed(DEMO), toasts=True) as pilot:
        await pilot.press("f2")
        await until_seen(pilot, "handed to the browser: ", ".svg")
        await pilot.press("w", "ctrl+s")
        await until_seen(pilot, "handed to the browser: main-2.log")
    os.close(writes)
    with os.fdopen(reads) as told:
        picture, log = map(json.loads, told)
    assert (picture[0], log[0]) == (SAVE, SAVE) and log[1]["name"] == "main-2.log"
    assert "try1" in (files / picture[1]["file"]).read_text() and picture[1]["name"].endswith(".svg")
    assert "served 42" in (files / log[1]["file"]).read_text()
    assert not [*here.iterdir()] and PAGE not in os.environ


async def test_a_name_for_a_file_may_be_any_text(show: Show, tmp_path: Path) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        save_as(app_of(pilot), "save it", "x", lambda out: out.write(b"it"), lambda where, _: None)
        await until(pilot, lambda: isinstance(pilot.app.screen, FormDialog))
        await pilot.press("ctrl+a", "ctrl+k", *"~no-such-user", "enter")
        await until_seen(pilot, "~no-such-user leads nowhere: there is no such user")
    assert wrong_name("") == "needed" and wrong_name(str(tmp_path / "new")) is None
    assert (wrong_name(str(tmp_path)) or "").endswith("is there already")
    assert (wrong_name("x" * 300) or "").endswith("cannot be looked for: File name too long")
    with pytest.raises(UsageError, match="no file of that name"):
        fill_new(tmp_path / "a\0b", lambda out: out.write(b"it"))
    with pytest.raises(VertuiError, match="half"):
        fill_new(tmp_path / "half", fail)
    assert not (tmp_path / "half").exists()


def fail(out: IO[bytes]) -> None:
    out.write(b"half")
    raise VertuiError("half of it")


async def test_the_scoreboard_is_frozen_too_and_says_so(show: Show) -> None:
    feed = HandMadeFeed(DEMO)
    async with show(feed) as pilot:
        await pilot.press("B", "p")
        await until_seen(pilot, "frozen: p goes on")
        feed.put(EMPTY, event("branch", "main", "all gone"))
        await pilot.pause(0.3)
        assert "hangs in test_totals" in text_of(app_of(pilot))
        await pilot.press("p")
        await until(pilot, lambda: "hangs in test_totals" not in text_of(app_of(pilot)))


async def test_what_took_long_says_how_long_it_will_take(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        app = app_of(pilot)
        app.call("forking main", lambda: time.sleep(0.6))
        await until(pilot, lambda: "forking" in app.took_s)
        lets = threading.Event()
        app.call("forking b1", lets.wait)
        await until_seen(pilot, "forking b1, about ")
        lets.set()
        await until(pilot, lambda: not app.jobs)


async def test_a_word_about_a_key_is_seen_wherever_it_is_pressed(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path / "r")
    with standing_in(home, {"/v1/log": []}):
        async with at_home(tmp_path) as pilot:
            for screen in ("l", "B"):
                for key, verb in (("u", "undo"), ("U", "redo")):
                    await pilot.press(screen)
                    await until(pilot, lambda: app_of(pilot).screen is not app_of(pilot).main)
                    await pilot.press(key)
                    await until_seen(pilot, f"{verb}: there is nothing to {verb}")
                    await pilot.press("escape")
                    app_of(pilot).clear_notifications()


async def test_what_takes_long_is_said_on_every_screen(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        app, lets = app_of(pilot), threading.Event()
        await pilot.press("B")
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        app.call("pruning b1", lets.wait)
        await until_seen(pilot, "◌ pruning b1…", "esc back")
        app.push_screen(TrashScreen())
        app.call("pruning b2", lets.wait)
        await until_seen(pilot, "◌ pruning b1…", "esc back")
        lets.set()
        await until(pilot, lambda: "pruning" not in text_of(app))


ELSEWHERE = (
    (ImagesScreen, ("plus", "b", "x")), (TrashScreen, ("r", "x", "enter")), (LogScreen, ("u", "U")),
    (lambda: WatchScreen(("b1",)), ("a", "e", "ctrl+c")), (BoardScreen, ("x", "S", "P", "f", "e", "s", "H")),
    (lambda: DiffScreen("main", "b1"), ("M",)), (StoreScreen, ("x", "ctrl+t")), (SecretsScreen, ("plus",)),
    (TokensScreen, ("plus",)), (SwarmsScreen, ("plus",)),
)  # fmt: skip


async def test_where_one_may_only_look_no_key_changes_anything_and_says_so(tmp_path: Path) -> None:
    home, bodies = tmp_path / "home", list[bytes]()
    home.mkdir()
    with standing_in(Home(home, home / "r"), {}, bodies):
        async with at_home(home, read_only=True) as pilot:
            app = app_of(pilot)
            await until_seen(pilot, "read-only")
            for action in ACTIONS:
                if action.changes:
                    app.main.say("")
                    await pilot.press(action.key)
                    await until(pilot, lambda: READ_ONLY[:40] in text_of(app))
                    assert app.screen is app.main and not app.jobs, action.id
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, ActionsScreen))
            await pilot.pause()
            offered = [row.id for row in app.screen.query_one(RowList).items if isinstance(row, Action)]
            assert "watch" in offered and not any(BY_ID[id].changes for id in offered)
            await pilot.press("escape")
            for screen, keys in ELSEWHERE:
                app.push_screen(opened := screen())
                await pilot.pause()
                for key in keys:
                    await pilot.press(key)
                    assert app.screen is opened, f"{opened}: {key}"
                app.pop_screen()
            app.page = OwnPage(-1, tmp_path)  # where it is served nothing is written or started either
            app.leave_to(["touch", str(home / "made")], "touch")
            Carry(app, "main", "b1").save("")
            app.picture()
            await until_seen(pilot, ONLY_A_PAGE[:40])
            assert app.screen is app.main and not bodies and not [*home.glob("made")]
            assert [*tmp_path.iterdir()] == [home]
    async with at_home(tmp_path / "empty", EMPTY, read_only=True) as pilot:
        await pilot.press("enter")
        await until_seen(pilot, "started with --readonly")
