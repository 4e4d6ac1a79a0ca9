"""The filter `changed:PATH`: answers stream in while keys go on, and what is known is not asked again."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from textual.pilot import Pilot

from core.diff.result import DiffSize
from core.home import Home
from tests.stand_in import standing_in
from tests.ui.conftest import Show
from tests.ui.looks import app_of, text_of, until, until_seen
from tests.ui.trees import DEMO, HandMadeFeed, full
from vertui.folds import FoldRow
from vertui.lanes import LaneRow
from vertui.selection import NOTHING, ref_of
from vertui.ui import VertuiApp


class Disks:
    """Of b2 and of one commit /etc differs, once that may be told; of what is asked first it is not known."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.asked: list[tuple[str, str]] = []

    def __call__(self, path: str) -> DiffSize:
        """One answer."""
        query = parse_qs(urlsplit(path).query)
        self.asked.append((query["b"][0], query["path"][0]))
        self.may.wait()
        return DiffSize(2 if query["b"][0] in ("b2", full("9c01be")) and query["path"] == ["/etc"] else 0)


@asynccontextmanager
async def filtering(tmp_path: Path, disks: Disks) -> AsyncIterator[Pilot[None]]:
    home, feed = Home(tmp_path, tmp_path / "r"), HandMadeFeed(DEMO)
    with standing_in(home, {"/v1/changes": disks}):
        async with VertuiApp(home, lambda: feed).run_test(size=(140, 36)) as pilot:
            await until(pilot, lambda: app_of(pilot).main.shown is not NOTHING)
            try:
                yield pilot
            finally:
                disks.may.set()


def rows(pilot: Pilot[None]) -> list[str]:
    items = app_of(pilot).main.tree_view.items
    return [ref_of(row.item) for row in items if isinstance(row, LaneRow) and not isinstance(row, FoldRow)]


async def test_answers_stream_in_and_no_key_waits_for_them(tmp_path: Path) -> None:
    disks = Disks()
    async with filtering(tmp_path, disks) as pilot:
        await pilot.press("slash", *"changed")
        assert len(rows(pilot)) == 0, "so far it is a word"
        app_of(pilot).main.filter_by("changed:/etc")
        await until_seen(pilot, "/changed:/etc · 0 of 11 nodes · ◌ 9 to look into")
        await until(pilot, lambda: len(disks.asked) == 1)
        app_of(pilot).main.filter_by("")
        await until(pilot, lambda: len(rows(pilot)) == 11 and "to look into" not in text_of(pilot.app))
        app_of(pilot).main.filter_by("changed:/etc")
        disks.may.set()
        await until_seen(pilot, "/changed:/etc · 2 of 11 nodes")
        await until(pilot, lambda: "to look into" not in text_of(pilot.app))
        assert rows(pilot) == ["b2", "9c01be9c"] and len(disks.asked) == len(set(disks.asked)) == 9
        app_of(pilot).main.filter_by("!changed:/etc state:run")
        await until(pilot, lambda: sorted(rows(pilot)) == ["b1", "main"])
        app_of(pilot).main.filter_by("changed:/var b1")
        await until(pilot, lambda: ("b1", "/var") in disks.asked)
        assert ("b2", "/var") not in disks.asked, "what is not shown otherwise is not looked into"


async def test_what_is_wrong_is_said(tmp_path: Path, show: Show) -> None:
    async with show(HandMadeFeed(DEMO), (140, 36)) as pilot:
        app_of(pilot).main.filter_by("changed:etc")
        await until_seen(pilot, "changed: takes a path: changed:/etc/hosts")
        assert len(rows(pilot)) == 11
        app_of(pilot).main.filter_by("changed:/etc")
        await until(pilot, lambda: app_of(pilot).main.tree_view.trouble != "")
        assert app_of(pilot).main.tree_view.trouble[:20] in text_of(pilot.app)
