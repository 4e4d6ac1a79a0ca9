"""The tree on the screen: what is folded, sorted, jumped to and filtered by keys, and that names are never cut."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from core.home import Home
from core.model import Branch, BranchState, Child, Forked, Tree
from tests.stand_in import standing_in
from tests.ui.conftest import Show
from tests.ui.looks import app_of, text_of, until, until_seen
from tests.ui.test_keys import until_selected
from tests.ui.trees import DEMO, NOON, HandMadeFeed, branch, commit
from tests.unit.test_tree_folds import fanned, line
from vertui.columns import Column
from vertui.folds import FoldRow
from vertui.lanes import LaneRow
from vertui.screens.letters import labels
from vertui.selection import NOTHING
from vertui.ui import VertuiApp

LONG = "a-name-of-thirty-one-characters"


async def test_a_run_is_unfolded_and_folded_where_the_cursor_is(show: Show) -> None:
    async with show(HandMadeFeed(line(152)), (80, 24)) as pilot:
        tree = app_of(pilot).main.tree_view
        await until_seen(pilot, "… 150 commits", "77d05a77 step 0")
        await pilot.press("j", "j", "z")
        await until_selected(pilot, "00009600")
        assert len(tree.items) == 153
        await pilot.press("j", "z")
        await until_seen(pilot, "… 150 commits")
        assert isinstance(tree.current, FoldRow) and app_of(pilot).main.selection.targets == ()
        await until_seen(pilot, "z unfolds it", "00009600 step 150")
        await pilot.press("enter")
        await until_selected(pilot, "00009600")
        await pilot.press("z", "G", "z")
        await until_seen(pilot, "nothing folds here")
        await pilot.press("Z")
        await until_seen(pilot, "everything is unfolded", "step 3")


async def test_children_of_ones_own_fork_are_gone_to_and_others_are_not(show: Show) -> None:
    feed = HandMadeFeed(line(2))
    async with show(feed, (80, 24)) as pilot:
        feed.put(fanned(32))
        await until_seen(pilot, "… 32 branches · 31 running · best 3.1 t31 · 1 failed")
        await until_selected(pilot, "main")
        app_of(pilot).main.follow([f"t{number}" for number in range(1, 33)])
        await until_selected(pilot, "t1")
        await until_seen(pilot, "✗ t1 ", "● t9 ")
        await pilot.press("z")
        await until_seen(pilot, "… 32 branches")
        await pilot.press("space")
        await until(pilot, lambda: len(app_of(pilot).main.selection.branches) == 32)


async def test_the_forks_answer_moves_the_cursor(tmp_path: Path) -> None:
    answer = Forked(DEMO.commits[1], (Child("t1", True), Child("t2", True)), 1)
    home, feed = Home(tmp_path, tmp_path / "r"), HandMadeFeed(line(30))
    with standing_in(home, {"/v1/fork": answer}):
        async with VertuiApp(home, lambda: feed).run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: app_of(pilot).main.shown is not NOTHING)
            await pilot.press("f", "enter")
            await until(pilot, lambda: app_of(pilot).main._children == ("t1", "t2"))
            before = line(30)
            feed.put(
                replace(before, branches=(*before.branches, branch("t1", "00001d"), branch("t2", "00001d")))
            )
            await until_selected(pilot, "t1")


@pytest.mark.parametrize("width", [80, 120, 200])
async def test_no_name_and_no_state_is_cut(show: Show, width: int) -> None:
    """With the longest names, six lanes deep, and all columns filled."""
    commits = [commit("77d05a", None, "golden")]
    branches = [branch("main", "77d05a", trunk=True)]
    for depth in range(1, 7):
        commits.append(commit(f"{depth:06x}", commits[-1].id[:6], "x" * 90, "other"))
        for state in (BranchState.SUSPENDED, BranchState.RUNNING):
            name = f"{LONG[:-2]}{depth}{state[0]}"
            branches.append(branch(name, f"{depth:06x}", state, score=-0.123456, memory_bytes=1 << 33))
    async with show(HandMadeFeed(Tree(tuple(branches), tuple(commits), (), "main")), (width, 50)) as pilot:
        shown = text_of(app_of(pilot)).split("\n")
        for one in branches[1:]:
            (row,) = (row for row in shown if one.name in row)
            assert str(one.state) in row.partition("││")[0]


async def test_siblings_are_sorted_by_keys(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:

        def names() -> list[str]:
            items = app_of(pilot).main.tree_view.items
            return [row.id for row in items if isinstance(row, LaneRow) and row.id[0] == "b"]

        assert names() == ["b2", "b1", "b3", "b4"]
        await pilot.press("equals_sign")
        await until_seen(pilot, "by score")
        assert names() == ["b2", "b1", "b3", "b4"]
        await pilot.press("tilde")
        await until_seen(pilot, "by score, backwards")
        assert names() == ["b1", "b2", "b3", "b4"]
        await pilot.press(*("equals_sign",) * len(Column))
        await until(pilot, lambda: app_of(pilot).main.tree_view.sorting.by is None)
        await pilot.press("tilde")
        await until_seen(pilot, "= sorts siblings first")


async def test_jumps_by_keys(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        for key, where in (
            ("asterisk", "b2"), ("asterisk", "b1"), ("right_curly_bracket", "b3"), ("left_curly_bracket", "b1"),
            ("left", "3f2a113f"), ("left", "77d05a77"), ("right", "3f2a113f"), ("at", "main"),
        ):  # fmt: skip
            await pilot.press(key)
            await until_selected(pilot, where)
        await pilot.press("right")
        await until_seen(pilot, "nothing is above this")


async def test_a_jump_opens_what_hides_its_end(show: Show) -> None:
    async with show(HandMadeFeed(fanned(32)), (80, 24)) as pilot:
        await pilot.press("asterisk")
        await until_selected(pilot, "t31")
        await pilot.press("slash", *"main", "enter", "asterisk")
        await until_seen(pilot, "the filter hides it: esc clears the filter")


async def test_letters_lead_to_rows(show: Show) -> None:
    async with show(HandMadeFeed(DEMO), (80, 24)) as pilot:
        app = app_of(pilot)
        await pilot.press("apostrophe")
        await until_seen(pilot, "a ● main", "d │ ● b2")
        await pilot.press("d")
        await until_selected(pilot, "b2")
        await until(pilot, lambda: "d │ ● b2" not in text_of(app) and app.screen is app.main)
        await pilot.press("apostrophe", "escape")
        await until(pilot, lambda: app.screen is app.main)
        await until_selected(pilot, "b2")


def test_letters_are_told_apart_as_they_are_typed() -> None:
    for count in (0, 1, 26, 27, 60):
        found = labels(count)
        assert len(set(found)) == count and len({len(one) for one in found}) <= 1


async def test_the_filter_counts_and_says_what_it_does_not_understand(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        items = app_of(pilot).main.tree_view
        await pilot.press("slash", *"state:run !trunk")
        await until_seen(pilot, "/state:run !trunk · 2 of 11 nodes")
        await pilot.press(*" score>")
        await until_seen(pilot, "score> takes a number: score>0.5")
        assert len(items.items) == 2, "the other terms hold"
        await pilot.press(*"0.5", "enter")
        await until_selected(pilot, "b2")
        await pilot.press("escape")
        await until(pilot, lambda: len(items.items) == 11)


async def test_a_new_commit_leaves_the_cursor_on_its_node_and_what_is_below_in_place(show: Show) -> None:
    before, feed = line(30), HandMadeFeed(line(30))
    async with show(feed, (80, 24)) as pilot:
        await pilot.press("j")
        await until_selected(pilot, "00001d00")
        newer = commit("00001e", "00001d", "step 30", created=NOON + 900)
        (main,) = before.branches
        assert isinstance(main, Branch)
        feed.put(replace(before, branches=(replace(main, head=newer.id),), commits=(*before.commits, newer)))
        await until_seen(pilot, "… 29 commits", "step 30")
        assert isinstance(app_of(pilot).main.tree_view.current, FoldRow), "it is in the run now"
