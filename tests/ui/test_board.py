"""The scoreboard: branches in order, marks, and the verbs that act on them."""

from pathlib import Path
from typing import cast
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from core.diff.result import DiffSize
from core.home import Home
from core.model import Command
from tests.stand_in import standing_in
from tests.ui.conftest import Show
from tests.ui.looks import app_of, until, until_looks, until_seen
from tests.ui.trees import DEMO, NOON, HandMadeFeed, branch, event, full, many
from vertui.actions import BY_ID
from vertui.screens.board import BoardScreen
from vertui.screens.dialogs import FormDialog
from vertui.screens.watch import WatchScreen
from vertui.selection import NOTHING
from vertui.ui import VertuiApp
from vertui.widgets.lines import LineView


class Commands(HandMadeFeed):
    """Each branch ran something else."""

    def __init__(self) -> None:
        super().__init__(DEMO)
        self.by_branch = {
            "main": [Command(1, ("serve",), 300, NOON, exit_code=143, lasted_ms=754_000)],
            "b1": [Command(1, ("make",), 300, NOON, exit_code=1, lasted_ms=2_400)],
            "b2": [Command(1, ("old",), 300, NOON, exit_code=9),
                   Command(2, ("make",), 301, NOON, exit_code=0, lasted_ms=810)],
        }  # fmt: skip

    def commands(self, branch: str) -> list[Command]:
        """What it ran."""
        return self.by_branch.get(branch, [])


def board(pilot: Pilot[None]) -> BoardScreen:
    return cast(BoardScreen, app_of(pilot).screen)


def order(pilot: Pilot[None]) -> list[str]:
    return [entry.branch.name for entry in board(pilot)._list.items]


async def opened(pilot: Pilot[None]) -> None:
    await pilot.press("B")
    await until_seen(pilot, "scoreboard", "810 ms", "✗ 1")


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_the_scoreboard_looks(show: Show, size: tuple[int, int]) -> None:
    async with show(Commands(), size) as pilot:
        await opened(pilot)
        await until_looks(pilot, f"board-{size[0]}x{size[1]}")


async def test_every_column_sorts_both_ways_and_the_cursor_stays(show: Show) -> None:
    async with show(Commands()) as pilot:
        await opened(pilot)
        assert order(pilot)[:2] == ["b2", "b1"]
        orders = {}
        for title in ("took", "exit", "files", "lines ±", "changed", "memory", "name"):
            await pilot.press("right")
            await until_seen(pilot, f"{title} ▾")
            orders[title] = order(pilot)
            assert board(pilot)._list.current.branch.name == "b2"  # type: ignore[union-attr]
        assert orders["took"][:3] == ["b2", "b1", "main"] and orders["exit"][:3] == ["b2", "b1", "main"]
        assert orders["name"] == sorted(orders["name"])
        await pilot.press("tilde")
        assert order(pilot) == orders["name"][::-1]


async def test_what_comes_is_ranked(show: Show) -> None:
    feed = Commands()
    async with show(feed) as pilot:
        await opened(pilot)
        feed.by_branch["b9"] = [Command(1, ("make",), 300, NOON, exit_code=124, lasted_ms=77, timed_out=True)]
        feed.put(
            replace(DEMO, branches=(*DEMO.branches, branch("b9", "3f2a11", score=1.5))),
            event("branch", "b9", "up"),
        )
        await until_seen(pilot, "77 ms", "1.5", "✗ late")
        assert order(pilot)[:2] == ["b9", "b2"]


async def test_marks_ranges_and_the_others(show: Show) -> None:
    async with show(Commands()) as pilot:
        await opened(pilot)
        await pilot.press("v", "j", "j", "v")
        assert board(pilot).selection.refs == tuple(order(pilot)[:3])
        await pilot.press("k", "space")
        assert board(pilot).selection.refs == (order(pilot)[0], order(pilot)[2])
        await pilot.press("escape", "g", "space", "percent_sign")
        assert set(board(pilot).selection.refs) == set(order(pilot)[1:])
        await pilot.press("v", "j", "escape")
        assert len(board(pilot).selection.refs) == len(order(pilot)) - 1
        await pilot.press("escape", "escape")
        await until(pilot, lambda: pilot.app.screen is app_of(pilot).main)


async def test_what_a_filter_shows_is_marked_together(show: Show) -> None:
    async with show(Commands()) as pilot:
        await opened(pilot)
        await pilot.press("slash", *"state:xx")
        await until_seen(pilot, "state:xx is no state")
        await pilot.press("left", "backspace", "right", "backspace", *"run", "enter", "percent_sign")
        await until_seen(pilot, "/state:run · 3 of 7 branches", "3 marked")
        assert {*board(pilot).selection.refs} == {*order(pilot)} == {"main", "b1", "b2"}
        await pilot.press("slash", *"score>0.5", "enter", "percent_sign")
        assert order(pilot) == ["b2"] and {*board(pilot).selection.refs} == {"main", "b1"}, (
            "others stay marked"
        )
        await pilot.press("slash", *"changed:/etc")
        await until_seen(pilot, "changed: is for the tree")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: len(order(pilot)) == 7 and not board(pilot).selection.marked)


async def test_verbs_act_on_what_is_marked(show: Show) -> None:
    async with show(Commands()) as pilot:
        await opened(pilot)
        await pilot.press("space", "space", "S")
        await until(pilot, lambda: isinstance(pilot.app.screen, FormDialog))
        await until_seen(pilot, "score b2, b1")
        await pilot.press("escape", "P")
        await until_seen(pilot, "promote: takes one, 2 are marked")
        await pilot.press("w")
        await until(pilot, lambda: isinstance(pilot.app.screen, WatchScreen))
        await until_seen(pilot, "$ make")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, BoardScreen))
        assert board(pilot).selection.refs == ("b2", "b1")


async def test_the_palette_acts_on_what_is_selected_here(show: Show) -> None:
    async with show(Commands()) as pilot:
        await opened(pilot)
        await pilot.press("colon", *"rename the")
        await until_seen(pilot, "R  rename the branch")
        await pilot.press("enter")
        await until_seen(pilot, "rename b2")
        await pilot.press("escape", "space", "space", "colon", *"rename the")
        await until_seen(pilot, "not now: takes one, 2 are marked")
        await pilot.press("enter")
        await until_seen(pilot, "scoreboard", "rename: takes one, 2 are marked")
        await pilot.press("colon", *"mark the node, so")
        await until_seen(pilot, "so that verbs act on all marked")
        await pilot.press("enter")
        await until(pilot, lambda: len(board(pilot).selection.marked) == 3)
        assert not app_of(pilot).main.selection.marked


async def test_a_question_mark_tells_of_all_that_is_done_here(show: Show) -> None:
    async with show(Commands()) as pilot:
        await opened(pilot)
        await pilot.press("question_mark")
        await until_seen(pilot, "keys", "sort by")
        told = pilot.app.screen.query_one(LineView).text
        assert all(f"{BY_ID[action].key_label:<10}" in told for action in BoardScreen.done_here)
        assert BY_ID["suspend"].help in told and BY_ID["help"].help not in told


async def test_what_each_changed_is_asked_once_of_those_on_the_screen(tmp_path: Path) -> None:
    home, feed = Home(tmp_path, tmp_path / "r"), HandMadeFeed(many(400))

    def told(path: str) -> DiffSize:
        name = parse_qs(urlsplit(path).query)["b"][0]
        return (
            DiffSize(3, (12345, 4))
            if name == "b10"
            else DiffSize(5000)
            if name == "b20"
            else DiffSize(0, (0, 0))
        )

    def names() -> list[str]:
        return [parse_qs(urlsplit(path).query)["b"][0] for path in asked if path.startswith("/v1/changes")]

    with standing_in(home, {"/v1/changes": told}) as asked:
        async with VertuiApp(home, lambda: feed).run_test(size=(120, 20)) as pilot:
            await until(pilot, lambda: app_of(pilot).main.shown is not NOTHING)
            await pilot.press("B")
            await until_seen(pilot, "+12k −4", "5000", "+0 −0")
            seen = board(pilot)._list.size.height
            await until(pilot, lambda: {*order(pilot)[:seen]} <= {*names()})
            assert len(names()) < len(order(pilot)) - seen and "ignore=" in asked[-1]
            await pilot.press("escape", "B")
            feed.put(many(400), event("branch", "b10", "another word"))
            await until_seen(pilot, "+12k −4")
            tree = many(400)
            moved = [replace(one, head=full("000001")) if one.name == "b10" else one for one in tree.branches]
            feed.put(replace(tree, branches=tuple(moved)))
            await until(pilot, lambda: names()[-1] == "b10")
            await pilot.press("G")
            await until(pilot, lambda: {*order(pilot)[-seen:]} <= {*names()})
            assert sorted(names()) == sorted([*{*names()}, "b10"]), "what is known is not asked again"
            await pilot.press("right", "right", "right", "tilde")
            await until_seen(pilot, "files ▴")
            assert [name for name in order(pilot) if name in ("b10", "b20")] == ["b20", "b10"]
