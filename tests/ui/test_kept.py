"""Secrets, tokens and the store on screens of their own, over an engine of twins: what keys do, what is never shown."""

from pathlib import Path
from typing import Any, cast

import pytest
from textual.events import Paste
from textual.pilot import Pilot

from core.engine import secrets
from core.engine.secrets import Handed
from core.errors import DaemonUnavailable
from core.home import Home
from core.sites import Secret, site
from core.tokens import Token, digest
from tests.conftest import full as wholly
from tests.stand_in import standing_in
from tests.ui.engines import engine_shown
from tests.ui.looks import app_of, text_of, until, until_looks, until_seen
from tests.ui.test_sizes import check_colours, check_footers, check_lines
from tests.ui.trees import DEMO, NOON, HandMadeFeed
from vertui.plain import TextInput, UnseenInput
from vertui.screens.dialogs import FormDialog
from vertui.screens.kept import KeptScreen
from vertui.screens.plan import PlanDialog
from vertui.screens.reading import ReadDialog
from vertui.selection import NOTHING
from vertui.themes import BY_NAME
from vertui.ui import VertuiApp

VALUE = " s3cr3t-value "
SIZES = [(40, 12), (80, 24), *(((120, 36), (200, 50)) if wholly() else ())]
KEYS = {"secrets": "f8", "tokens": "grave_accent", "store": "F"}
SPACE = {
    "commits": [{"commit": "3f2a11" * 10, "logical_bytes": 1 << 28, "stored_bytes": 9 << 20, "shared_bytes": 7 << 20,
                 "unique_bytes": 2 << 20}],
    "branches": [{"branch": branch.name, "commits": 3, "logical_bytes": 1 << 29, "stored_bytes": 21 << 20,
                  "shared_bytes": 20 << 20, "unique_bytes": 1 << 20} for branch in DEMO.branches],
    "packs_bytes": 60 << 20, "index_bytes": 2 << 20, "records_bytes": 1 << 20, "dedup": 7.4, "compression": 2.1,
    "images_bytes": 310 << 20, "layers_bytes": 33 << 20, "cache_bytes": 99 << 20,
}  # fmt: skip
ANSWERS: dict[str, Any] = {
    "/v1/secrets": [Secret("TOKEN", NOON), Secret("GH", NOON, (site("api.github.com"),), "vertui-GH", True)],
    "/v1/tokens": [Token("laptop", NOON, 2), Token("ci", NOON)],
    "/v1/store": SPACE,
}


async def form(pilot: Pilot[None]) -> FormDialog:
    await until(pilot, lambda: isinstance(pilot.app.screen, FormDialog))
    return cast(FormDialog, pilot.app.screen)


async def typed_for_good(pilot: Pilot[None], key: str, name: str) -> None:
    """By a key, with the name typed."""
    await pilot.press(key)
    await until(pilot, lambda: isinstance(pilot.app.screen, PlanDialog))
    pilot.app.screen.query_one("#word", TextInput).value = name
    pilot.app.screen.query_one("#do").focus()
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, KeptScreen))


async def test_secrets_tokens_and_the_store_by_keys() -> None:
    async with engine_shown() as (twins, pilot):
        app = app_of(pilot)
        await pilot.press("f8", "plus")
        asked = await form(pilot)
        asked.query_one("#name", TextInput).value = "my token"
        asked.query_one("#value", UnseenInput).focus()
        for pasted in ("two\nlines", VALUE):
            asked.query_one("#value", UnseenInput).post_message(Paste(pasted))
        await until_seen(pilot, "•" * len(VALUE))
        await pilot.press("enter")
        await until_seen(pilot, "is no variable's name")
        asked.query_one("#name", TextInput).value = "TOKEN"
        await pilot.press("ctrl+y", "enter")
        await until_seen(pilot, "TOKEN", "for any command that is given it")
        assert secrets.handed(twins.engine, {"A": "TOKEN"}) == Handed({"A": VALUE}, {})
        assert app.clipboard == "vertui secret set TOKEN" and "s3cr3t" not in text_of(app)
        await typed_for_good(pilot, "x", "TOKEN")
        await until_seen(pilot, "there are no secrets: + sets one")
        await pilot.press("escape", "grave_accent", "plus")
        asked = await form(pilot)
        asked.query_one("#name", TextInput).value = "my laptop"
        await pilot.press("ctrl+y")
        await until(pilot, lambda: app.clipboard == "vertui token new 'my laptop'")
        asked.query_one("#name", TextInput).value = ""
        await pilot.press(*"laptop", "enter")
        await until(pilot, lambda: isinstance(app.screen, ReadDialog))
        await pilot.press("y", "escape")
        await until_seen(pilot, "laptop", "0 connections")
        assert twins.engine.admission.tokens.read()["laptop"].sha256 == digest(app.clipboard)
        assert app.clipboard not in text_of(app)
        await typed_for_good(pilot, "x", "laptop")
        await until_seen(pilot, "there are no tokens: + makes one")
        await pilot.press("escape", "F")
        await until_seen(pilot, "branch  main", "image   ", "unique", "by deduplication")
        await pilot.press("x")
        await until_seen(pilot, "free what nothing needs", "empty the cache too")
        await pilot.press("tilde")
        await until_seen(pilot, "leave the cache")
        await pilot.press("right", "enter")
        await until(pilot, lambda: any(one.verb == "store gc" for one in twins.engine.catalog.operations(9)))
        await until(pilot, lambda: isinstance(app.screen, KeptScreen) and not app.jobs)
        await pilot.press("ctrl+k", "enter")
        await until_seen(pilot, "everything is as it was written")


@pytest.mark.parametrize("size", SIZES)
async def test_they_look_say_that_nobody_is_there_and_come_back(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    home, feed = Home(tmp_path / "h", tmp_path / "r"), HandMadeFeed(DEMO)
    home.root.mkdir()
    async with VertuiApp(home, lambda: feed, read_only=True).run_test(size=size) as pilot:
        app = app_of(pilot)
        await until(pilot, lambda: app.main.shown is not NOTHING)
        for name, key in KEYS.items():
            await pilot.press(key)
            await until_seen(pilot, "the daemon is stopped: D starts it")
            with standing_in(home, ANSWERS):
                feed.break_with(DaemonUnavailable("gone"))
                await until_seen(
                    pilot, {"secrets": "TOKEN", "tokens": "laptop", "store": "branch  try1"}[name]
                )
                for changing in ("plus", "x", "ctrl+t"):
                    await pilot.press(changing)
                    assert isinstance(app.screen, KeptScreen) and not app.jobs, changing
                for worn in ("paper", "sixteen", "dusk"):
                    app.wear(BY_NAME[worn])
                    await pilot.pause()
                    await pilot.pause()
                    check_colours(pilot, worn)
                check_lines(text_of(app), size[0])
                check_footers(pilot)
                if name == "store" and size == (80, 24):
                    await until_looks(pilot, "store-80x24")
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.main)
