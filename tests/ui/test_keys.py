"""Keys on the main screen, and what they leave on it."""

from typing import Any

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.screen import Screen

from core.model import BranchState, CommitState
from core.verbs import names
from core.verbs.base import identifier
from tests.ui.conftest import Show
from tests.ui.looks import app_of, text_of, until, until_seen
from tests.ui.trees import DEMO, EMPTY, HandMadeFeed, branch, event, many
from vertui.actions import ACTIONS, BY_ID
from vertui.screens.actions import ActionsScreen
from vertui.screens.dialogs import FormDialog
from vertui.selection import Selection, ref_of
from vertui.verbs import Verbs


def selected(pilot: Pilot[None]) -> str:
    node = app_of(pilot).main.tree_view.node
    return ref_of(node) if node else ""


async def until_selected(pilot: Pilot[None], where: str) -> None:
    await until(pilot, lambda: selected(pilot) == where)


async def until_on(pilot: Pilot[None], screen: type[Screen[Any]]) -> None:
    await until(pilot, lambda: isinstance(app_of(pilot).screen, screen))


async def test_the_cursor_moves(show: Show) -> None:
    moves = [
        ("j", "5ab3c05a"),
        ("k", "main"),
        ("k ", "main"),
        ("down j", "b2"),
        ("G", "77d05a77"),
        ("j", "77d05a77"),
        ("g", "main"),
        ("end", "77d05a77"),
        ("home", "main"),
        ("ctrl+d", "77d05a77"),
        ("at", "main"),
    ]
    async with show(HandMadeFeed(DEMO)) as pilot:
        for keys, where in moves:
            await pilot.press(*keys.split())
            await until_selected(pilot, where)


async def test_a_click_selects(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        await pilot.click("#tree", offset=(10, 3))
        await until_selected(pilot, "b2")


async def test_the_selection_survives_another_tree(show: Show) -> None:
    feed = HandMadeFeed(DEMO)
    async with show(feed) as pilot:
        await pilot.press("j", "j")
        await until_selected(pilot, "b2")
        more = replace(DEMO, branches=(branch("aaa", "3f2a11"), *DEMO.branches))
        feed.put(more, event("branch", "aaa", "forked aaa"))
        await until_seen(pilot, "aaa", "forked aaa")
        assert selected(pilot) == "b2"
        gone = replace(DEMO, branches=tuple(one for one in DEMO.branches if one.name not in ("b2", "try1")))
        feed.put(gone, event("branch", "b2", "pruned b2", 2))
        await until(pilot, lambda: selected(pilot) != "b2")


async def test_a_burst_of_events_costs_no_fetch(show: Show) -> None:
    feed = HandMadeFeed(DEMO)
    async with show(feed) as pilot:
        before = feed.fetches
        feed.put(DEMO, *(event("branch", "b1", f"event {number}", number) for number in range(200)))
        await until_seen(pilot, "event 199")
        await pilot.pause(0.35)
        assert feed.fetches == before, "what changes comes with an event"


async def test_an_idle_screen_fetches_nothing(show: Show) -> None:
    feed = HandMadeFeed(DEMO)
    async with show(feed) as pilot:
        before = feed.fetches
        await pilot.pause(6.0)
        assert feed.fetches == before


async def test_freezing_holds_the_view_and_not_the_feed(show: Show) -> None:
    feed = HandMadeFeed(DEMO)
    async with show(feed) as pilot:
        await pilot.press("p")
        await until_seen(pilot, "frozen")
        before = feed.fetches
        feed.put(EMPTY, event("branch", "main", "all gone"))
        await pilot.pause(0.5)
        assert "frozen" in text_of(app_of(pilot)) and selected(pilot) == "main"
        assert feed.fetches == before, "events carry what changed"
        await pilot.press("p")
        await until_seen(pilot, "build the image")


async def test_a_verb_that_cannot_run_says_why(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        await pilot.press("P")
        await until_seen(pilot, "promote: main is the trunk already")
        await pilot.press("G", "e")
        await until_seen(pilot, "exec: 77d05a77 is a commit, not a branch")
        await pilot.press("space", "g", "space", "f")
        await until_seen(pilot, "fork: takes one, 2 are marked")
        assert app_of(pilot).screen is app_of(pilot).main


@pytest.mark.parametrize(("key", "screen"), [("x", ()), ("P", ("B", "space", "space"))])
async def test_what_a_line_has_no_room_for_is_told_in_a_corner(
    show: Show, key: str, screen: tuple[str, ...]
) -> None:
    for width, told in ((40, 1), (120, 0)):
        async with show(HandMadeFeed(DEMO), (width, 24)) as pilot:
            await pilot.press(*screen, key, key)
            await until_seen(pilot, {"x": "prune: main is the trunk", "P": "promote: takes one, 2"}[key])
            words = [one.message for one in app_of(pilot)._notifications]
            assert len(words) == told, words
            assert all(word.endswith(("before pruning it", "esc clears the marks")) for word in words)


async def test_enter_on_the_first_screen_begins(show: Show) -> None:
    async with show(HandMadeFeed(EMPTY)) as pilot:
        await pilot.press("enter")
        await until_seen(pilot, "the daemon is stopped: D starts it")


async def test_marks_select_many_and_escape_clears_them(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        await pilot.press("space", "j", "space")
        await until(pilot, lambda: app_of(pilot).main.selection.refs == ("main", "b2"))
        await pilot.press("escape")
        await until(pilot, lambda: app_of(pilot).main.selection.refs == ("try1",))


async def test_the_filter_hides_what_does_not_fit(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        await pilot.press("slash", *"paused", "enter")
        items = app_of(pilot).main.tree_view
        await until(pilot, lambda: selected(pilot) == "b3" and len(items.items) == 1)
        await pilot.press("escape")
        await until(pilot, lambda: len(items.items) == 11)


async def test_help_searches_and_does(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        await pilot.press("question_mark")
        await until_on(pilot, ActionsScreen)
        await pilot.press(*"start N copies", "enter")
        await until_on(pilot, FormDialog)
        await pilot.press("escape")
        await until_on(pilot, type(app_of(pilot).main))


async def test_copy_as_command(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        await pilot.press("j", "j", "y", *"prune", "enter")
        await until(pilot, lambda: app_of(pilot).clipboard == "vertui prune b2")


async def test_the_command_that_logs_in_is_copied(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        await pilot.press("dollar_sign")
        await until(pilot, lambda: app_of(pilot).clipboard == "vertui ssh main")
        await until_seen(pilot, "copied: vertui ssh main")


async def test_the_palette_knows_the_actions(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        await pilot.press("colon", *"freeze")
        await until_seen(pilot, "hold the view still")
        await pilot.press("enter")
        await until(pilot, lambda: app_of(pilot).main.frozen)


async def test_a_form_says_what_is_wrong_and_stays(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        await pilot.press("f", "0", "enter")
        await until_seen(pilot, "children: give a whole number from 1 to 1000")
        await pilot.press("escape")
        await until_on(pilot, type(app_of(pilot).main))


async def test_a_failing_daemon_is_one_line(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        await pilot.press("j", "j", "x")
        await until_seen(pilot, "the daemon is stopped: D starts it")
        assert app_of(pilot).is_running and not app_of(pilot).jobs


async def test_moving_is_fast_in_a_thousand_commits(show: Show) -> None:
    import time

    async with show(HandMadeFeed(many(1000)), (200, 50)) as pilot:
        tree = app_of(pilot).main.tree_view
        times = []
        for _ in range(200):
            started = time.perf_counter()
            tree.action_move(1)
            for y in range(tree.size.height):
                tree.render_line(y)
            times.append(time.perf_counter() - started)
        assert sorted(times)[len(times) // 2] < 0.016


def test_every_action_is_whole() -> None:
    assert len({action.key for action in ACTIONS}) == len(ACTIONS)
    for action in ACTIONS:
        written = callable(getattr(Verbs, action.id, None))
        assert written or any(identifier(verb) == action.id for verb in names()), action.id
        assert action.label and action.help
        command = action.command(Selection(DEMO, DEMO.branches[0]))
        assert command.startswith("vertui ") or (written and not command), action.id
        action.refuse(Selection())


def test_a_diff_compares_with_the_parent_or_two_marked() -> None:
    by_name = {one.name: one for one in DEMO.branches}
    assert Selection(DEMO, by_name["b2"]).pair == ("9c01be9c", "b2")
    assert Selection(DEMO, by_name["b2"], (by_name["b1"],)).pair == ("b1", "b2")
    assert Selection(DEMO, by_name["main"], (by_name["b1"], by_name["b2"])).pair == ("b1", "b2")
    assert Selection(DEMO, DEMO.commits[0]).pair is None


def test_states_refuse() -> None:
    by_name = {one.name: one for one in DEMO.branches}
    assert (
        BY_ID["pause"].refuse(Selection(DEMO, by_name["b3"]))
        == "b3 is paused (paused by the user): `vertui resume b3` lets it run"
    )
    assert BY_ID["resume"].refuse(Selection(DEMO, by_name["b3"])) is None
    assert by_name["b4"].state is BranchState.FAILED
    assert (BY_ID["commit"].refuse(Selection(DEMO, by_name["b4"])) or "").startswith("b4 is failed")


def test_what_the_engine_takes_is_offered_and_what_it_refuses_is_not() -> None:
    by_name = {one.name: one for one in DEMO.branches}

    def refusal(action: str, name: str) -> str | None:
        return BY_ID[action].refuse(Selection(DEMO, by_name[name]))

    for state in (BranchState.SUSPENDED, BranchState.STOPPED, BranchState.LOST, BranchState.FAILED):
        ended = replace(by_name["old"], state=state)
        assert BY_ID["resume"].refuse(Selection(DEMO, ended)) is None
        assert BY_ID["fork"].refuse(Selection(DEMO, ended)) is None, "its head is forked"
    assert refusal("resume", "main") == "main is running already"
    assert refusal("fork", "try1") == "branch try1 is starting: wait until it runs, and try again"
    assert refusal("prune", "main") == "main is the trunk: promote another branch before pruning it"
    assert refusal("prune", "b1") is None
    golden, head, unquiesced = DEMO.commits[0], DEMO.commits[1], DEMO.commits[3]
    assert "is golden" in (BY_ID["prune"].refuse(Selection(replace(DEMO, branches=()), golden)) or "")
    assert "is the head of" in (BY_ID["prune"].refuse(Selection(DEMO, head)) or "")
    assert "unquiesced" in (BY_ID["fork"].refuse(Selection(DEMO, unquiesced)) or "")
    gone = replace(DEMO, commits=tuple(replace(one, state=CommitState.GONE) for one in DEMO.commits))
    assert "is gone" in (BY_ID["fork"].refuse(Selection(gone, replace(by_name["old"]))) or "")
